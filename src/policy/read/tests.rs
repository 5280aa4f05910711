use super::*;
use crate::policy::{Groups, Policies};
use crate::statement::Kinds;

/// The faults of one file, as they are told.
fn faults(text: &str) -> Vec<String> {
    let known = Known::new(&"310107".parse().unwrap(), &Kinds::builtin().unwrap(), &Groups::new());
    match Policies::of(Files::of(&[("a.cedar", text)]), known) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.0.iter().map(ToString::to_string).collect(),
    }
}

const GOOD: &str = "// 说明\n@id(\"good\")\npermit (principal, action == Action::\"ask\", resource);\n";

#[test]
fn a_fault_is_told_with_its_line_column_and_reason() {
    assert_eq!(faults(GOOD), [""; 0]);
    let mut other = Vec::new();
    for (policy, place, words) in [
        // no policy at all
        ("@id(\"x\")\npermit (principal, action resource);", "5:27", "unexpected token `resource`"),
        ("@id(\"x\")\npermit (principal, action, resource)", "5:37", "unexpected end of input"),
        ("@id(\"x\")\npermit (principal, action, resource)\nwhen { context.purpose = 1 };", "6:8", "'='"),
        // not what the schema says
        (
            "@id(\"x\")\npermit (principal, action == Action::\"ask\", resource)\nwhen { context.purpos == Purpose::\"award\" };",
            "6:8",
            "purpos",
        ),
        (
            "@id(\"x\")\npermit (principal, action == Action::\"ask\", resource)\nwhen {\n  context.basis > 3 };",
            "7:3",
            "Long",
        ),
        ("@id(\"x\")\npermit (principal, action == Action::\"asks\", resource);", "5:30", "asks"),
        ("@id(\"x\")\npermit (principal == Nod::\"340500\", action, resource);", "5:22", "Nod"),
        (
            "@id(\"x\")\npermit (principal, action == Action::\"ask\", resource)\nwhen { context.purpose == Purpose::\"finanse\" };",
            "6:27",
            "finanse",
        ),
        (
            "@id(\"x\")\nforbid (principal, action == Action::\"recognise\", resource)\nwhen { resource.record_decided < 20260401 };",
            "6:8",
            "record_decided",
        ),
        // never applies
        ("@id(\"x\")\nforbid (principal, action == Action::\"ask\", resource is Repair);", "4:1", "for policy"),
        ("@id(\"x\")\nforbid (principal, action == Action::\"ask\", resource)\nwhen { false };", "4:1", "impossible"),
        // entities that are none
        ("@id(\"x\")\nforbid (principal, action == Action::\"ask\", resource == Kind::\"penaly\");", "5:57", "no kind"),
        (
            "@id(\"x\")\nforbid (principal in Group::\"delta\", action == Action::\"ask\", resource);",
            "5:22",
            "no group",
        ),
        (
            "@id(\"x\")\nforbid (principal in Region::\"3410\", action == Action::\"ask\", resource);",
            "5:22",
            "six digits",
        ),
        (
            "@id(\"x\")\nforbid (principal in Province::\"341000\", action == Action::\"ask\", resource);",
            "5:22",
            "two digits",
        ),
        (
            "@id(\"x\")\nforbid (principal == Node::\"黄山\", action == Action::\"ask\", resource);",
            "5:22",
            "no node id",
        ),
        // names
        ("permit (principal, action == Action::\"ask\", resource);", "4:1", "@id"),
        (
            "@id(\"x\") @title(\"中\") forbid (principal in Region::\"3410\", action == Action::\"ask\", resource);",
            "4:43",
            "digits",
        ),
        ("@id(\"good\")\npermit (principal, action == Action::\"ask\", resource);", "4:1", "policy/a.cedar:2:1"),
        ("@id(\"X y\")\npermit (principal, action == Action::\"ask\", resource);", "4:1", "no name"),
        (
            "@id(\"x\") @outcome(\"pending\")\npermit (principal, action == Action::\"ask\", resource);",
            "4:1",
            "@outcome",
        ),
        ("@id(\"x\") @reason(\"why\")\npermit (principal, action == Action::\"ask\", resource);", "4:1", "@reason"),
        ("@id(\"x\") @reason(\"\")\nforbid (principal, action == Action::\"ask\", resource);", "4:1", "@reason"),
        ("@id(\"x\")\npermit (principal == ?principal, action == Action::\"ask\", resource);", "4:1", "template"),
    ] {
        let told = faults(&format!("{GOOD}{policy}"));
        let begins = format!("policy/a.cedar:{place}: ");
        if !matches!(&told[..], [fault] if fault.starts_with(&begins) && fault.contains(words)) {
            other.push(format!("{policy}\n  {place} {words}\n  {told:#?}"));
        }
    }
    assert!(other.is_empty(), "{}", other.join("\n"));
}

#[test]
fn all_faults_are_told_at_once_in_their_order() {
    let text = "permit (principal, action == Action::\"ask\", resource == Kind::\"penaly\");\n\
                @id(\"b\") permit (principal, action == Action::\"ask\", resource) when { context.x };\n";
    let told = faults(text);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("policy/a.cedar:1:1: ") && told[1].starts_with("policy/a.cedar:1:57: "), "{told:?}");
    assert!(told[2].starts_with("policy/a.cedar:2:"), "{told:?}");
}

#[test]
fn chinese_texts_are_no_fault() {
    let policy = "@id(\"x\") @title(\"A 类名单，须 2 人认定\")
        forbid (principal, action == Action::\"recognise\", resource)
        when { resource.list == \"守信“A级”名单2026\" || resource.categories.contains(\"没收违法所得、没收非法财物\") };";
    assert_eq!(faults(&format!("{GOOD}{policy}")), [""; 0]);
}
