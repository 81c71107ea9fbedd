//! Values that are checked at the door: texts, telephone numbers, names of actors and streams.

use domain::{
    Actor, Category, InvalidPhoneNumber, InvalidText, Label, LongText, PersonName, Personal, PhoneNumber, QueueName,
    ShortText, SpokenText, StreamName, TeamName,
};
use proptest::prelude::*;
use uuid::Uuid;

#[test]
fn what_is_personal_is_never_printed() {
    let name = Personal::new(PersonName::parse("Jana Nováková").unwrap());
    let number = Personal::new(PhoneNumber::parse("+420601000001").unwrap());
    assert_eq!(format!("{name:?}"), "***");
    assert_eq!(format!("{:?}", Some(&number)), "Some(***)");
    assert_eq!(format!("{number:#?}"), "***");
    assert_eq!(name.reveal().as_str(), "Jana Nováková");
}

#[test]
fn no_event_prints_what_is_personal() {
    use domain::Event;
    let names = "{\"name\":\"Jana Nováková\",\"capacity\":1}";
    let numbers = "{\"direction\":\"inbound\",\"from\":\"+420601000001\",\"to\":\"+420222000002\"}";
    let target = "{\"leg\":1,\"agent_id\":\"00000000-0000-0000-0000-000000000001\",\
                  \"target\":{\"kind\":\"external\",\"number\":\"+442083661177\"}}";
    for (event_type, payload) in
        [("agent.registered", names), ("call.initiated", numbers), ("call.transferred_blind", target)]
    {
        let printed = format!("{:?}", Event::decode(event_type, 1, payload).unwrap());
        for secret in ["Jana", "601000001", "222000002", "2083661177"] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }
}

#[test]
fn telephone_numbers_become_e164() {
    let good = [
        ("+420601000001", "+420601000001"),
        ("  +420 601 000 001 ", "+420601000001"),
        ("+1 415-867-5309", "+14158675309"),
        ("+1 (415) 867-5309", "+14158675309"),
        ("+442083661177", "+442083661177"),
    ];
    for (text, e164) in good {
        let number = PhoneNumber::parse(text).unwrap();
        assert_eq!(number.as_str(), e164);
        assert_eq!(PhoneNumber::parse(number.as_str()).unwrap(), number, "E.164 stays as it is");
    }
}

#[test]
fn what_is_no_telephone_number_is_refused() {
    let long = format!("+{}", "4".repeat(499));
    let wide = format!("+420{}601000001", " ".repeat(40));
    let no_number = ["", " ", "+", "+abc", "+0", "+1", "+420", "+42012", "+42060100000123456", &long, &wide];
    let not_international = ["12345", "0601000001", "420601000001", "tel:+420601000001", "＋420601000001"];
    for text in no_number.into_iter().chain(not_international) {
        assert_eq!(PhoneNumber::parse(text), Err(InvalidPhoneNumber), "{text:?}");
    }
}

/// A text of the greatest length is taken, and one character more refused; characters count, not bytes.
macro_rules! assert_bound {
    ($($name:ident),+) => {$(
        let most = "ž".repeat($name::LENGTH_MAX);
        assert_eq!($name::parse(&most).unwrap().as_str(), most);
        assert_eq!($name::parse(&format!("  {most}\n")).unwrap().as_str(), most, "white space around is cut off first");
        let refused = $name::parse(&format!("{most}ž")).unwrap_err();
        let (length, length_max) = ($name::LENGTH_MAX + 1, $name::LENGTH_MAX);
        assert!(matches!(refused, InvalidText::TooLong { length: l, length_max: m, .. } if (l, m) == (length, length_max)));
        assert_eq!(refused.code(), "TEXT_TOO_LONG");
        for empty in ["", " \t\n "] {
            assert_eq!($name::parse(empty).unwrap_err().code(), "TEXT_EMPTY");
        }
        assert_eq!($name::parse("a\u{0}b").unwrap_err().code(), "TEXT_CONTROL_CHARACTER");
        assert_eq!($name::parse("a\u{1b}[2Jb").unwrap_err().code(), "TEXT_CONTROL_CHARACTER");
    )+};
}

#[test]
fn texts_keep_their_bounds() {
    assert_bound!(QueueName, TeamName, Label, ShortText, LongText, PersonName, SpokenText);
}

#[test]
fn names_have_one_line_and_notes_have_several() {
    for text in ["a\nb", "a\tb", "a\rb"] {
        assert_eq!(QueueName::parse(text).unwrap_err().code(), "TEXT_CONTROL_CHARACTER");
        assert_eq!(TeamName::parse(text).unwrap_err().code(), "TEXT_CONTROL_CHARACTER");
        assert_eq!(Label::parse(text).unwrap_err().code(), "TEXT_CONTROL_CHARACTER");
        assert_eq!(ShortText::parse(text).unwrap_err().code(), "TEXT_CONTROL_CHARACTER");
        assert_eq!(PersonName::parse(text).unwrap_err().code(), "TEXT_CONTROL_CHARACTER");
    }
    assert_eq!(LongText::parse("a\nb\tc").unwrap().as_str(), "a\nb\tc");
    assert_eq!(SpokenText::parse("a\nb\tc").unwrap().as_str(), "a\nb\tc");
    // Lines from elsewhere end in two characters; they are kept as one.
    assert_eq!(LongText::parse("a\r\nb").unwrap().as_str(), "a\nb");
}

#[test]
fn stored_texts_are_read_as_they_are() {
    let beyond = "x".repeat(Label::LENGTH_MAX + 1);
    let label: Label = serde_json::from_str(&format!("{beyond:?}")).unwrap();
    assert_eq!(label.as_str(), beyond);
}

#[test]
fn an_actor_is_read_from_its_text() {
    let id = Uuid::from_u128(0x0197_c2a0_0000_7000_8000_0000_0000_00f1);
    let cases = [
        (Actor::User(id), "user:0197c2a0-0000-7000-8000-0000000000f1"),
        (Actor::system("sentiment"), "system:sentiment"),
        (Actor::Provider("twilio".to_owned()), "provider:twilio"),
        (Actor::system("a:b"), "system:a:b"),
    ];
    for (actor, text) in cases {
        assert_eq!(actor.to_string(), text);
        assert_eq!(text.parse::<Actor>().unwrap(), actor);
        assert_eq!(serde_json::to_string(&actor).unwrap(), format!("{text:?}"));
        assert_eq!(serde_json::from_str::<Actor>(&format!("{text:?}")).unwrap(), actor);
    }
    for wrong in ["", "user", "user:", "user:jana", "system:", "provider:", "robot:r2", "User:x", ":"] {
        let error = wrong.parse::<Actor>().unwrap_err().to_string();
        assert!(error.starts_with(&format!("{wrong:?} names no actor")), "{error}");
    }
}

#[test]
fn a_category_is_read_from_its_text() {
    for category in Category::ALL {
        assert_eq!(category.to_string(), category.as_str());
        assert_eq!(category.as_str().parse::<Category>().unwrap(), category);
        assert_eq!(serde_json::to_string(&category).unwrap(), format!("{:?}", category.as_str()));
    }
    for wrong in ["", "Call", "calls"] {
        assert_eq!(wrong.parse::<Category>().unwrap_err().to_string(), format!("unknown stream category {wrong:?}"));
    }
    let stream = StreamName { category: Category::Call, id: Uuid::nil() };
    assert_eq!(stream.to_string(), "call-00000000-0000-0000-0000-000000000000");
}

proptest! {
    #[test]
    fn any_text_is_taken_or_refused(text in any::<String>()) {
        if let Ok(label) = Label::parse(&text) {
            prop_assert!(!label.as_str().is_empty() && label.as_str().chars().count() <= Label::LENGTH_MAX);
            prop_assert_eq!(Label::parse(label.as_str()).unwrap(), label);
        }
        let _ = text.parse::<Actor>();
    }

    #[test]
    fn any_number_is_taken_or_refused(text in "\\+?[0-9() ;=extEXT.-]{0,45}") {
        if let Ok(number) = PhoneNumber::parse(&text) {
            prop_assert!(number.as_str().starts_with('+'));
            prop_assert!(number.as_str()[1..].bytes().all(|b| b.is_ascii_digit()), "{}", number);
            prop_assert!((8..=16).contains(&number.as_str().len()));
        }
    }
}
