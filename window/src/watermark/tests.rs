//! The minimum, its holds, and every order in which messages of different workers may arrive.
