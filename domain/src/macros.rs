//! The macros: an event enum whose wire names are written down once.

/// Declares an aggregate's `Event` enum. Each variant holds a struct of the same name; the string is its name on the
/// wire and in the store, and never changes once written. The number is the schema version written today; above 1, it
/// is followed by the functions that lead there from version 1, as in `2, from [named_by_its_code];` (see `upcast`).
macro_rules! events {
    ($(#[$meta:meta])* $wrap:ident: $($family:tt)+) => {
        crate::macros::event_family! { $(#[$meta])* enum: $($family)+ }

        impl From<Event> for crate::Event {
            fn from(event: Event) -> Self { Self::$wrap(event) }
        }

        impl TryFrom<crate::Event> for Event {
            type Error = crate::Event;
            fn try_from(event: crate::Event) -> Result<Self, crate::Event> {
                match event { crate::Event::$wrap(event) => Ok(event), other => Err(other) }
            }
        }
    };
}
pub(crate) use events;

/// The enum alone, with its wire format.
macro_rules! event_family {
    ($(#[$meta:meta])* enum: $(
        $(#[$doc:meta])* $variant:ident = $name:literal, $schema:literal $(, from [$($step:expr),+])?;
    )+) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum Event {
            $($(#[$doc])* $variant($variant),)+
        }

        impl Event {
            /// Every wire name of this aggregate with the schema version that this program writes, in the order of
            /// declaration.
            pub const SCHEMAS: &'static [(&'static str, i16)] = &[$(($name, $schema)),+];

            /// Reads a stored payload of a schema version. `None`: the wire name is not one of this aggregate's.
            pub(crate) fn decode(
                type_name: &str,
                schema_version: i16,
                payload: &str,
            ) -> Option<Result<Self, crate::upcast::Misfit>> {
                match type_name {
                    $($name => {
                        const CHAIN: crate::upcast::Chain = crate::upcast::Chain::new($schema, &[$($($step),+)?]);
                        Some(CHAIN.read::<$variant>(schema_version, payload).map(Self::$variant))
                    })+
                    _ => None,
                }
            }
        }

        impl crate::Fact for Event {
            fn type_name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name,)+ }
            }

            fn schema_version(&self) -> i16 {
                match self { $(Self::$variant(_) => $schema,)+ }
            }

            fn payload(&self) -> serde_json::Result<String> {
                match self { $(Self::$variant(event) => crate::aggregate::json(event),)+ }
            }
        }

        $(impl From<$variant> for Event {
            fn from(event: $variant) -> Self { Self::$variant(event) }
        })+
    };
}
pub(crate) use event_family;
