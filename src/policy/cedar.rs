//! A set of policies that decides. Whatever goes wrong in deciding denies, and is told.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicySet, Request, RestrictedExpression, Schema,
};

use super::ask::Asked;
use super::fault::PolicyFaults;
use super::files::Files;
use super::hold::HoldCase;
use super::read::{self, Told};
use super::words::{Known, NotMade, Words};
use crate::statement::Digest;

/// So many verdicts are remembered; then it begins anew. What may be asked takes few values, so there it ends by itself.
const REMEMBERED: usize = 50_000;

/// The policies of a node.
pub struct Policies {
    files: Files,
    digest: Digest,
    set: PolicySet,
    told: BTreeMap<String, Told>,
    schema: Schema,
    pub(super) known: Known,
    pub(super) words: Words,
    /// What was decided: the set never changes, and a case is all that a verdict depends on.
    remembered: RwLock<HashMap<Case, Arc<Verdict>>>,
}

/// A case that comes again and again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Case {
    Ask(Asked),
    Hold(HoldCase),
}

/// What policies say about one action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it may be done.
    pub permitted: bool,
    /// Ids of the policies that decided, in their order: those that permit, else those that forbid, else none.
    pub policies: Vec<String>,
    /// Why not, in words for whom it concerns.
    pub reason: Option<String>,
}

/// One question to the policies.
pub(super) struct Question {
    pub principal: EntityUid,
    pub action: &'static str,
    pub resource: EntityUid,
    pub entities: Vec<Entity>,
    pub context: Vec<(&'static str, RestrictedExpression)>,
}

/// The longest reason, in characters: an answer takes no longer one.
const LONGEST_REASON: usize = 500;
/// The reason where no policy permits.
const NONE_PERMITS: &str = "没有策略允许";

impl Policies {
    /// The policies that come with the program.
    pub fn builtin(known: Known) -> Result<Self, PolicyFaults> {
        Self::of(Files::builtin(), known)
    }

    /// The policies of a folder, each valid against the schema.
    pub fn load(folder: &Path, known: Known) -> Result<Self, PolicyFaults> {
        Self::of(Files::of_folder(folder)?, known)
    }

    /// The policies of some files.
    pub fn of(files: Files, known: Known) -> Result<Self, PolicyFaults> {
        let schema = read::schema()?;
        let words = Words::new()?;
        let (set, told) = read::read(&files, &known, &schema)?;
        Ok(Self { digest: files.digest(), files, set, told, schema, known, words, remembered: RwLock::default() })
    }

    /// The digest of the whole set: statements name it beside the ids of policies.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The files that they were read from.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Each policy, in the order of ids.
    pub fn all(&self) -> impl Iterator<Item = &Told> {
        self.told.values()
    }

    /// The verdict on a case, worked out when it comes for the first time.
    pub(super) fn remembered(&self, case: Case, work_out: impl FnOnce(&Case) -> Verdict) -> Arc<Verdict> {
        if let Some(verdict) = self.remembered.read().unwrap_or_else(PoisonError::into_inner).get(&case) {
            return Arc::clone(verdict);
        }
        let verdict = Arc::new(work_out(&case));
        let mut remembered = self.remembered.write().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(case, Arc::clone(&verdict));
        verdict
    }

    /// What the policies say.
    pub(super) fn judge(&self, question: Result<Question, NotMade>) -> Verdict {
        let action = question.as_ref().map_or("?", |question| question.action);
        let broken = |policies: Vec<String>, error: &str| {
            tracing::error!(action, ?policies, error, "policies could not be evaluated: it is denied");
            Verdict::broken(policies, error)
        };
        let asked = question.map_err(|error| error.to_string()).and_then(|question| self.request(question));
        let (request, entities) = match asked {
            Ok(asked) => asked,
            Err(error) => return broken(Vec::new(), &error),
        };
        let response = Authorizer::new().is_authorized(&request, &self.set, &entities);
        let mut errors: Vec<_> = response.diagnostics().errors().collect();
        errors.sort_by_key(|error| error.to_string());
        if let Some(first) = errors.first() {
            let ids = errors.iter().map(|error| {
                let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
                error.policy_id().to_string()
            });
            return broken(ids.collect(), &first.to_string());
        }
        let mut policies: Vec<_> = response.diagnostics().reason().map(ToString::to_string).collect();
        policies.sort();
        let permitted = response.decision() == Decision::Allow;
        let reason = if permitted { None } else { Some(self.reason(&policies)) };
        Verdict { permitted, policies, reason }
    }

    /// Every request is held against the schema, so that what policies were validated for is what they get.
    fn request(&self, mut question: Question) -> Result<(Request, Entities), String> {
        let here = self.words.node(&self.known.here, &self.known).map_err(|e| e.to_string())?;
        question.context.push(("here", self.words.reference("Node", self.known.here.as_str())));
        if !question.entities.iter().any(|entity| entity.uid() == here.uid()) {
            question.entities.push(here);
        }
        let entities = Entities::from_entities(question.entities, Some(&self.schema)).map_err(|e| e.to_string())?;
        let context = question.context.into_iter().map(|(name, value)| (name.to_owned(), value));
        let context = Context::from_pairs(context).map_err(|e| e.to_string())?;
        let action = self.words.uid("Action", question.action);
        let request = Request::new(question.principal, action, question.resource, context, Some(&self.schema));
        Ok((request.map_err(|e| e.to_string())?, entities))
    }

    fn reason(&self, forbidding: &[String]) -> String {
        let reasons = forbidding.iter().filter_map(|id| self.told.get(id)).map(|told| {
            let words = told.reason.as_ref().or(told.title.as_ref());
            words.cloned().unwrap_or_else(|| format!("策略 {} 不允许", told.id))
        });
        let reasons: Vec<_> = reasons.collect();
        if reasons.is_empty() {
            return NONE_PERMITS.to_owned();
        }
        reasons.join("；").chars().take(LONGEST_REASON).collect()
    }
}

impl Verdict {
    /// The policies could not decide.
    fn broken(policies: Vec<String>, error: &str) -> Self {
        let error: String = error.chars().take(LONGEST_REASON - 30).collect();
        Self { permitted: false, policies, reason: Some(format!("策略无法求值，按不允许处理：{error}")) }
    }
}

impl std::fmt::Debug for Policies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policies").field("digest", &self.digest).field("ids", &self.told.keys()).finish()
    }
}
