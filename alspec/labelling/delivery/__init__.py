"""Deliveries: what comes back from annotation tools, foreign until it was checked."""
