//! The structs and enums that a description defines, as JSON.

use serde::Serialize;

use crate::description::{Definition, Field, Shape, read};

/// A struct has `fields`, an enum `variants`.
#[derive(Debug, Serialize)]
pub struct Type<'d> {
    name: &'d str,
    size: usize,
    align: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Vec<Member<'d>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variants: Option<Vec<Variant<'d>>>,
}

#[derive(Debug, Serialize)]
struct Variant<'d> {
    name: &'d str,
    tag: u8,
    fields: Vec<Member<'d>>,
}

#[derive(Debug, Serialize)]
struct Member<'d> {
    name: &'d str,
    #[serde(rename = "type")]
    ty: &'d str,
    offset: usize,
}

/// Returns the definitions in the text, in the order of their first mention.
///
/// # Errors
/// Names the line that is not a line of a description.
pub fn outline(text: &str) -> Result<Vec<Type<'_>>, String> {
    Ok(read(text)?.definitions.iter().map(Type::new).collect())
}

impl<'d> Type<'d> {
    fn new(definition: &Definition<'d>) -> Self {
        let (fields, variants) = match &definition.shape {
            Shape::Struct(fields) => (Some(members(fields)), None),
            Shape::Enum(variants) => {
                let variants = variants.iter().map(|variant| Variant {
                    name: variant.name,
                    tag: variant.tag,
                    fields: members(&variant.fields),
                });
                (None, Some(variants.collect()))
            }
        };
        let (size, align) = (definition.layout.size, definition.layout.align);
        Self { name: definition.name, size, align, fields, variants }
    }
}

fn members<'d>(fields: &[Field<'d>]) -> Vec<Member<'d>> {
    fields.iter().map(|field| Member { name: field.name, ty: field.text, offset: field.offset }).collect()
}
