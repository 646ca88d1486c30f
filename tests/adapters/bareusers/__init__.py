"""A site whose users can't be deactivated, and need more than an e-mail."""
