"""Tables, figures and study pages: everything a reader of the results sees."""
