pub mod checker;
pub mod claims;
pub mod lane;
pub mod mistake;
pub mod room;
pub mod store_buffer;
pub mod waiting;
pub mod weak;
