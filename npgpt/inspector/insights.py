def insights(recording, say):
    return []
