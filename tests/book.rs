//! The book in `docs`: every command in it is run and its output compared, no link is dead, every page is in the summary,
//! and the page of the command line is written out of the program.

mod console;
mod pages;
mod reference;
