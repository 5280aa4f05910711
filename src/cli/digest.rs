//! Digests as they are typed. One in 64 begins with a hyphen, and would be taken for an option.

use std::ffi::OsString;

use kaopu::statement::Digest;

/// Before a digest that begins with a hyphen, so that it is none of an option.
const MARK: &str = "sha256:";

/// A digest, with its hash named before it or not.
pub fn digest(typed: &str) -> Result<Digest, String> {
    let text = typed.strip_prefix(MARK).unwrap_or(typed);
    text.parse().map_err(|_| "a digest has 43 characters of base64url, as `kaopu record CODE` shows it".to_owned())
}

/// Arguments in which no digest looks like an option.
pub fn told_apart(args: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    args.map(|arg| match arg.to_str() {
        Some(text) if text.starts_with('-') && text.parse::<Digest>().is_ok() => format!("{MARK}{text}").into(),
        _ => arg,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_no_option_whatever_it_begins_with() {
        let of = |first: u8| Digest([first; 32]).to_string();
        let hyphen = (0..=255).map(of).find(|text| text.starts_with('-')).unwrap();
        let args = ["kaopu", "recognise", "show", "--json", "-c", "node.toml", &hyphen, &of(1)].map(OsString::from);
        let told: Vec<_> = told_apart(args.clone().into_iter()).collect();
        assert_eq!(told[..6], args[..6]);
        assert_eq!((told[6].to_str().unwrap(), &told[7]), (&*format!("sha256:{hyphen}"), &args[7]));
        for typed in [&hyphen, &of(1), told[6].to_str().unwrap()] {
            assert_eq!(digest(typed).unwrap().to_string(), typed.trim_start_matches(MARK));
        }
        assert!(digest("sha256:").is_err() && digest("示例").is_err());
    }
}
