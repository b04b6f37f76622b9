mod support;

mod fields;
