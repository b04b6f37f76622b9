mod support;

mod faults;
