//! `kaopu peer invite`.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use kaopu::node::peers::Peers;
use kaopu::statement::NodeId;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde_json::json;

use super::super::person::As;
use super::{Shared, print_json, print_line};

/// Make a one-time invitation for a node
#[derive(Debug, clap::Args)]
pub struct Invite {
    /// Its id
    node: NodeId,
    /// How long it may be used: 30m, 24h, 7d
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = span)]
    valid: Duration,
    #[command(flatten)]
    person: As,
}

impl Invite {
    /// Prints the invitation; whoever reads it may introduce that node, so it goes to its administrator alone.
    pub async fn run(&self, peers: &Peers, shared: &Shared) -> anyhow::Result<ExitCode> {
        let by = self.person.needed(peers).await?;
        let valid_ms = i64::try_from(self.valid.as_millis())?;
        let invitation = peers.invite(&self.node, valid_ms, &by).await?;
        let text = invitation.to_string();
        let until = kaopu::node::status::time(invitation.until * 1000).unwrap_or_default();
        if shared.json {
            print_json(&json!({"node": self.node, "invitation": text, "until": until}))?;
            return Ok(ExitCode::SUCCESS);
        }
        print_line(&text);
        if std::io::stdout().is_terminal()
            && let Ok(code) = QrCode::new(text.as_bytes())
        {
            print_line(&code.render::<Dense1x2>().quiet_zone(true).build());
        }
        print_line("");
        print_line(&format!(
            "Send this to the administrator of {}. It may be used once, until {until}. There:",
            self.node
        ));
        print_line("  kaopu peer add 'kaopu:…' --as NAME");
        print_line("After that both sides compare fingerprints by telephone; `kaopu peer list` says what is missing.");
        Ok(ExitCode::SUCCESS)
    }
}

/// A number with m, h or d behind it.
fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text}: a number with m, h or d behind it is expected, like 24h");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    number.checked_mul(seconds).filter(|s| *s > 0).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_a_unit() {
        assert_eq!(span("24h"), Ok(Duration::from_secs(86_400)));
        assert_eq!(span("30m"), Ok(Duration::from_secs(1800)));
        for wrong in ["", "h", "24", "0h", "-1h", "1天", "99999999999999999999d"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
