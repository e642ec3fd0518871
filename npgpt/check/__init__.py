"""Is this backward right? The grader, measured derivatives, likely mistakes."""
