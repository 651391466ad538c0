"""The papers' arithmetic at paper scale, without training: what they count, and what they could have counted."""
