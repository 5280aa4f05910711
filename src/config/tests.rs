use super::*;

const SAMPLE: &str = include_str!("../../config/node.toml");

fn load(text: &str) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("node.toml"), text).unwrap();
    Config::load(&folder.path().join("node.toml"))
}

#[test]
fn the_sample_says_every_default() {
    let config = load(SAMPLE).unwrap();
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.pull, Pull::default());
    assert_eq!(config.import, Import::default());
    assert_eq!((config.watch, config.webhooks), (Watch::default(), Webhooks::default()));
    assert_eq!(config.attachments, Attachments::default());
    assert_eq!((config.listen.peer, config.listen.local), (default_peer(), default_local()));
    assert!(config.files.keys.is_absolute() && config.files.keys.ends_with("keys"));
    assert!(config.store.expose().ends_with("/data/kaopu.db"));
    // each key that there is stands in the sample, if need be as a comment
    for key in [
        "schemas",
        "policy",
        "rules",
        "calendar",
        "in_flight",
        "retry_held_seconds",
        "certificate_key",
        "passphrase",
        "local",
        "enabled",
    ] {
        assert!(SAMPLE.contains(&format!("\n{key} = ")) || SAMPLE.contains(&format!("\n# {key} = ")), "{key}");
    }
}

#[test]
fn an_unknown_key_is_refused_with_its_place() {
    for (section, line) in [("[node]", "colour = \"red\""), ("[limits]", "per_minute = 5"), ("[pull]", "x = 1")] {
        let error = load(&SAMPLE.replace(section, &format!("{section}\n{line}"))).unwrap_err().to_string();
        let number = SAMPLE.lines().position(|l| l == section).unwrap() + 2;
        assert!(error.contains("unknown field") && error.contains(&format!("line {number}")), "{error}");
    }
}

#[test]
fn values_out_of_bounds_are_refused() {
    for (from, to) in [
        ("url = \"https://127.0.0.1:7443\"", "url = \"http://127.0.0.1:7443\""),
        ("delta = [", "Delta = ["),
        ("\"34\"]", "\"3\"]"),
        ("in_flight = 64", "in_flight = 0"),
        ("at_once_each = 4", "at_once_each = 0"),
        ("hold_days = 30", "hold_days = 0"),
        ("held_uploads = 100", "held_uploads = 0"),
        ("retry_longest_seconds = 3600", "retry_longest_seconds = 3601"),
        ("files = 10", "files = 0"),
        ("allow = []", "allow = [\"10.0.0.0/33\"]"),
        ("# [limits.peers.\"340100\"]", "[limits.peers.\"340100\"]\nper_second = 0"),
        ("id = \"340500\"", "id = \"Ma'anshan\""),
    ] {
        assert!(SAMPLE.contains(from), "{from}");
        assert!(load(&SAMPLE.replace(from, to)).is_err(), "{to}");
    }
}

#[test]
fn a_peer_may_have_other_limits_than_all() {
    let config = load(&SAMPLE.replace("# [limits.peers.\"340100\"]\n# ", "[limits.peers.\"340100\"]\n")).unwrap();
    let of_each = config.limits.of_each(Clone::clone);
    let other = &of_each[&"340100".parse().unwrap()];
    assert_eq!(other.served_bytes_per_day, 20_000_000_000);
    assert_eq!(other.per_second, config.limits.per_second);
    let unknown = SAMPLE.replace("# [limits.peers.\"340100\"]\n# ", "[limits.peers.\"340100\"]\nconnections = 3\n");
    assert!(load(&unknown).unwrap_err().to_string().contains("unknown field"));
}

#[test]
fn rules_and_calendar_are_those_of_the_program_unless_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let load = |more: &str| {
        let text = SAMPLE.replacen("[node]", &format!("{more}\n[node]"), 1);
        std::fs::write(folder.path().join("node.toml"), text).unwrap();
        Config::load(&folder.path().join("node.toml")).unwrap()
    };
    let config = load("");
    assert_eq!(config.rules().unwrap(), Rules::built_in().unwrap());
    assert_eq!(config.calendar().unwrap(), Calendar::built_in().unwrap());
    let config = load("rules = \"own.toml\"\ncalendar = \"days.toml\"");
    assert!(matches!(config.rules(), Err(ConfigError::Unreadable { .. })));
    std::fs::write(folder.path().join("own.toml"), "repairable = []\ncolour = 1").unwrap();
    std::fs::write(folder.path().join("days.toml"), "\n[[year]]\nyear = 20266").unwrap();
    for (fault, place) in [
        (config.rules().unwrap_err(), "own.toml, line 2, column 1: "),
        (config.calendar().unwrap_err(), "days.toml, line 2, column 1: "),
    ] {
        assert!(fault.to_string().contains(place), "{fault}");
    }
}

#[test]
fn a_password_does_not_print() {
    let config = load(&SAMPLE.replace("sqlite:data/kaopu.db", "postgres://kaopu:secret@host/kaopu")).unwrap();
    assert_eq!(config.store.expose(), "postgres://kaopu:secret@host/kaopu");
    assert!(!format!("{config:?}").contains("secret"));
}

#[test]
fn only_those_named_may_read() {
    let config = load(SAMPLE).unwrap();
    let [issuer, caller, far]: [NodeId; 3] = ["340500", "310107.scjg", "440100"].map(|id| id.parse().unwrap());
    let named = |readers: &[&str]| Audience::Named(readers.iter().map(|r| r.parse().unwrap()).collect());
    assert!(config.may_read(&Audience::Everyone, &issuer, &far));
    assert!(config.may_read(&named(&["@delta"]), &issuer, &caller));
    assert!(!config.may_read(&named(&["@delta"]), &issuer, &far));
    assert!(config.may_read(&named(&["@delta", "440100"]), &issuer, &far));
    assert!(config.may_read(&named(&["440100"]), &issuer, &issuer));
    assert!(!config.may_read(&named(&["310107"]), &issuer, &caller));
    assert!(!config.may_read(&named(&["@unknown"]), &issuer, &caller));
}
