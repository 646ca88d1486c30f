"""What a trainer may do on platforms that have no access per project of their own."""
