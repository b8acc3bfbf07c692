"""Training that validates, keeps the best, and resumes to the same end."""
