//! A body laid out by the positions of its kind's members: each name is looked for once, and a set of members is a number.

use serde_json::{Map, Value};

use super::Kind;

/// The most members that a kind has: a set of them is kept in a number of so many bits.
pub(super) const MOST_MEMBERS: usize = 128;

/// Members by their positions, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Set(u128);

/// What a kind demands of its members, by their positions.
#[derive(Debug, Default)]
pub(super) struct Demands {
    /// Required of every body.
    pub(super) required: Set,
    /// Required of some bodies.
    pub(super) conditional: Set,
    /// No date behind the day of judging.
    pub(super) not_future: Set,
    /// No date before the first given of others: (member, those others).
    pub(super) not_before: Vec<(usize, Vec<usize>)>,
    /// Never part of a body.
    pub(super) upload_only: Set,
}

/// A body by the positions of its kind's members.
pub(super) struct LaidOut<'a> {
    values: [Option<&'a Value>; MOST_MEMBERS],
    /// The members that are there.
    pub(super) present: Set,
    /// It has no others.
    pub(super) is_known: bool,
}

impl Set {
    pub(super) fn add(&mut self, at: usize) {
        self.0 |= 1 << at;
    }

    pub(super) fn has(self, at: usize) -> bool {
        self.0 & 1 << at != 0
    }

    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let at = rest.trailing_zeros() as usize;
            rest &= rest.checked_sub(1)?;
            Some(at)
        })
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl FromIterator<usize> for Set {
    fn from_iter<I: IntoIterator<Item = usize>>(positions: I) -> Self {
        let mut set = Self::default();
        positions.into_iter().for_each(|at| set.add(at));
        set
    }
}

impl Demands {
    /// Of a kind of at most [`MOST_MEMBERS`] members.
    pub(super) fn of(kind: &Kind) -> Self {
        let members = || kind.members.iter().enumerate();
        let positions =
            |names: &[String]| -> Vec<usize> { names.iter().filter_map(|name| kind.position(name)).collect() };
        let which = |is: &dyn Fn(&super::Member) -> bool| members().filter(|(_, m)| is(m)).map(|(at, _)| at).collect();
        let not_before = members().filter(|(_, member)| !member.rules.not_before.is_empty());
        Self {
            required: positions(&kind.required).into_iter().collect(),
            conditional: which(&|member| !member.rules.required_if.is_empty()),
            not_future: which(&|member| member.rules.not_future),
            not_before: not_before.map(|(at, member)| (at, positions(&member.rules.not_before))).collect(),
            upload_only: which(&|member| member.upload_only),
        }
    }
}

impl<'a> LaidOut<'a> {
    pub(super) fn of(kind: &Kind, body: &'a Map<String, Value>) -> Self {
        let mut laid_out = Self { values: [None; MOST_MEMBERS], present: Set::default(), is_known: true };
        let mut behind = 0;
        for (name, value) in body {
            // nearly all bodies have their members in the order of the schema
            let next = kind.members[behind..].iter().position(|member| member.name == *name).map(|n| behind + n);
            match next.or_else(|| kind.position(name)) {
                Some(at) => {
                    laid_out.values[at] = Some(value);
                    laid_out.present.add(at);
                    behind = at + 1;
                }
                None => laid_out.is_known = false,
            }
        }
        laid_out
    }

    /// The value of the member at a position.
    pub(super) fn value(&self, at: usize) -> Option<&'a Value> {
        self.values[at]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::statement::Kinds;

    #[test]
    fn a_set_gives_back_what_was_added() {
        let positions = [0, 3, 64, 127];
        let set: Set = positions.into_iter().collect();
        assert!(set.iter().eq(positions) && positions.iter().all(|at| set.has(*at)) && !set.has(1));
        assert!(set.without(set).is_empty() && Set::default().iter().next().is_none());
    }

    #[test]
    fn a_body_is_laid_out_alike_in_any_order() {
        let kinds = Kinds::builtin().unwrap();
        let kind = kinds.newest("penalty").unwrap();
        let body = json!({"name": "示例", "party": "自然人", "number": "1", "basis": "2", "source": "3"});
        let Value::Object(body) = body else { unreachable!("an object") };
        let turned: Map<String, Value> = body.clone().into_iter().rev().collect();
        let (laid_out, turned) = (LaidOut::of(kind, &body), LaidOut::of(kind, &turned));
        assert_eq!(laid_out.present, turned.present);
        for (at, member) in kind.members.iter().enumerate() {
            assert_eq!(laid_out.value(at), body.get(&member.name), "{}", member.name);
            assert_eq!(turned.value(at), body.get(&member.name), "{}", member.name);
        }
        assert!(laid_out.is_known);
        let mut more = body.clone();
        more.insert("unknown".to_owned(), json!(1));
        assert!(!LaidOut::of(kind, &more).is_known);
    }
}
