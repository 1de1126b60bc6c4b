"""What happened, as one page for people: the record is read into a story, and the story is drawn as HTML."""
