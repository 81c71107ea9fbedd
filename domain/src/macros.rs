//! The one macro: an event enum whose wire names are written down once.

/// Declares an aggregate's `Event` enum. Each variant holds a struct of the same name; the string is its name on the
/// wire and in the store, and never changes once written. The number is the schema version written today.
macro_rules! events {
    ($(#[$meta:meta])* $wrap:ident: $($(#[$doc:meta])* $variant:ident = $name:literal, $schema:literal;)+) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum Event {
            $($(#[$doc])* $variant($variant),)+
        }

        impl Event {
            /// Every wire name of this aggregate, in the order of declaration.
            pub const TYPES: &'static [&'static str] = &[$($name),+];

            /// The wire name of this event.
            #[must_use]
            pub fn type_name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name,)+ }
            }

            /// The schema version this program writes for this event.
            #[must_use]
            pub fn schema_version(&self) -> i16 {
                match self { $(Self::$variant(_) => $schema,)+ }
            }

            /// The payload as JSON text, exactly as it is stored.
            ///
            /// # Errors
            /// When a value has no JSON form.
            pub fn payload(&self) -> serde_json::Result<String> {
                match self { $(Self::$variant(event) => serde_json::to_string(event),)+ }
            }

            /// Reads a stored payload. `None`: the wire name is not one of this aggregate's.
            pub(crate) fn decode(type_name: &str, payload: &str) -> Option<serde_json::Result<Self>> {
                match type_name {
                    $($name => Some(serde_json::from_str::<$variant>(payload).map(Self::$variant)),)+
                    _ => None,
                }
            }
        }

        $(impl From<$variant> for Event {
            fn from(event: $variant) -> Self { Self::$variant(event) }
        })+

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
