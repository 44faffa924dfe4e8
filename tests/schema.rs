//! Programs whose message types differ learn it when they open the queue, and learn in what they
//! differ.

mod common;

#[path = "schema/description.rs"]
mod description;
#[path = "schema/hostile.rs"]
mod hostile;
#[path = "schema/matrix.rs"]
mod matrix;
#[path = "schema/shapes.rs"]
mod shapes;
#[path = "schema/sizes.rs"]
mod sizes;
