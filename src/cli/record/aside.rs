//! `kaopu record --all`: what does not count, with the reason, for auditors.

use kaopu::node::aside::Aside;
use kaopu::node::lookup::{Found, MOST};
use kaopu::statement::Kinds;
use serde::Serialize;

use super::{Operators, print_line, tell_body};

/// All about some subjects, for scripts.
#[derive(Serialize)]
pub(super) struct All {
    /// What counts, as without `--all`.
    pub(super) counts: Vec<Found>,
    /// What does not.
    pub(super) aside: Vec<Aside>,
    /// Who had this node say what counts, by digest.
    pub(super) operators: Operators,
}

/// Tells what does not count.
pub(super) fn tell(aside: &[Aside], kinds: &Kinds) {
    print_line("");
    if aside.is_empty() {
        return print_line("nothing about this subject is held, refused or void 无暂存、不予采信或作废的陈述");
    }
    let plural = if aside.len() == 1 { " does" } else { "s do" };
    print_line(&format!("{} statement{plural} not count 以下 {} 条不予采信或暂存", aside.len(), aside.len()));
    for statement in aside {
        tell_one(statement, kinds);
    }
    if aside.len() >= MOST as usize {
        print_line(&format!("… of each log only the newest {MOST} are shown 每个日志仅显示最新 {MOST} 条"));
    }
}

fn tell_one(aside: &Aside, kinds: &Kinds) {
    let title = aside.said.as_ref().map_or("?", |said| said.title.as_str());
    let proven = if aside.proven { "in the log as signed 确在日志中" } else { "NOT proven 未证明" };
    print_line("");
    print_line(&format!("{title}  {} {}  {proven}", aside.standing, aside.standing_title));
    print_line(&format!("  why: {}", aside.reason));
    print_line(&format!("  {} index {}  {}", aside.origin, aside.index, aside.digest));
    if let Some(said) = &aside.said {
        print_line(&format!("  says that {} issued it {}", said.issuer, said.issued));
        tell_body(&said.kind, said.version, &said.body, kinds);
    }
}
