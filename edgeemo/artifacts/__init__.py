"""Model files: the card inside, and readers that check a file before a runtime sees it."""
