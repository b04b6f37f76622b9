mod support;

mod process;
