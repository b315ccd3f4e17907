"""What each page shows, and what each form asks for."""
