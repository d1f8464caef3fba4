"""The vendor: what is said (`wire`), what answers mean (`rules`), who we are (`auth`), the shell (`client`)."""
