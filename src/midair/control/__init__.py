"""What commands and the supervisor say to each other over the control socket: words, frames, the client's side."""
