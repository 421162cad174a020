"""The pages for people: the leaderboard, what submissions say, how things go."""
