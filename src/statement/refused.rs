//! Why a statement is refused: only what no later knowledge can mend.

use super::json::NotIJson;

/// Why a statement is refused for good: no later knowledge can mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// Longer than 64 KiB.
    #[error("longer than 64 KiB")]
    TooLong,
    /// Not three parts of base64url.
    #[error("not a compact JWS")]
    NotCompact,
    /// Base64url that has another, canonical form, or is none.
    #[error("base64url that is not canonical")]
    Base64,
    /// The protected header has not exactly `alg`, `kid` and `typ`.
    #[error("a header with other members than alg, kid and typ")]
    Header,
    /// `typ` is not `kaopu.<kind>.<version>+jws`.
    #[error("a typ that is not a statement's")]
    Typ,
    /// The payload is not JSON as statements have it.
    #[error("payload: {0}")]
    Json(#[from] NotIJson),
    /// A member of the payload is missing or not of its form.
    #[error("payload member {0:?} is missing or not of its form")]
    Member(&'static str),
    /// The payload has a member that statements do not have.
    #[error("payload member {0:?} is none of a statement's")]
    UnknownMember(String),
    /// Not said by the owner of the log or the key.
    #[error("issued by another than the keys' owner")]
    Issuer,
    /// No key of the issuer has this kid here.
    #[error("signed under a key that is not valid here")]
    UnknownKey,
    /// `alg` is not the enrolled key's.
    #[error("an algorithm other than the enrolled key's")]
    Algorithm,
    /// An ES256 signature with the higher s.
    #[error("an ES256 signature whose s is not the lower one")]
    HighS,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    Signature,
    /// The body is not valid against its schema.
    #[error("the schema refuses the body: {0}")]
    Schema(String),
    /// A rule across members is broken.
    #[error("a rule of the kind is broken: {0}")]
    Rule(String),
    /// The entry says one digest, the body has another.
    #[error("the body is not the one that its entry names")]
    Digest,
    /// The entry's class does not agree with `aud`.
    #[error("the entry's class disagrees with the audience")]
    Class,
    /// `iat` is more than 300 s below an earlier one of its log.
    #[error("iat more than 300 s below an earlier one of its log")]
    Backdated,
    /// Signed by a key that its owner has declared compromised, at an index from which on that is void.
    #[error("signed by a key that was compromised by then")]
    Compromised,
    /// `prev` is not the current version of the record.
    #[error("prev is not the current version of the record")]
    Prev,
    /// The kind is not one that this log may hold.
    #[error("a kind that this log does not hold")]
    WrongLog,
    /// An event that may not be said about what it is about.
    #[error(transparent)]
    Event(#[from] NotAbout),
}

/// Why an event may not be said about what it names in `ref`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAbout {
    /// It names none, or more than one.
    #[error("an event is about exactly one statement")]
    Refs,
    /// Its issuer never made the statement.
    #[error("about a statement that there is not")]
    Nothing,
    /// That statement was refused.
    #[error("about a statement that was refused")]
    Refused,
    /// Nothing of the kind can be said about such a statement.
    #[error("about a statement of which this cannot be said")]
    Kind,
    /// 谁认定谁修复: only who made the statement may say this.
    #[error("about the statement of another node: only its issuer may say this")]
    NotIssuer,
    /// A node does not say this of itself.
    #[error("about the node's own statement: only others may say this")]
    Own,
    /// `sub` is not whom that statement is about.
    #[error("the subject is not that of the statement that it is about")]
    Subject,
    /// Somebody may hold that statement, but not this one.
    #[error("its audience does not contain that of the statement that it is about")]
    Audience,
    /// The record was withdrawn.
    #[error("the record was withdrawn")]
    Withdrawn,
    /// The record is repaired already.
    #[error("the record is repaired already")]
    Repaired,
    /// The repair was revoked.
    #[error("the repair was revoked already")]
    Revoked,
    /// The dispute was answered.
    #[error("the dispute was answered already")]
    Answered,
    /// The application does not stand where this stage could follow.
    #[error("the application does not stand where this stage could follow")]
    Stage,
}

impl NotAbout {
    /// In Chinese.
    pub fn title(self) -> &'static str {
        match self {
            Self::Refs => "须且只能针对一条信息",
            Self::Nothing => "所针对的信息不存在",
            Self::Refused => "所针对的信息未被采信",
            Self::Kind => "该类信息不适用此操作",
            Self::NotIssuer => "谁认定谁修复：只有信息的发布方可以办理",
            Self::Own => "不能针对本节点自己的信息",
            Self::Subject => "主体与所针对的信息不一致",
            Self::Audience => "共享范围小于所针对的信息",
            Self::Withdrawn => "该信息已撤回",
            Self::Repaired => "该信息已修复",
            Self::Revoked => "该修复已撤销",
            Self::Answered => "该异议已答复",
            Self::Stage => "申请尚未到这一环节，或已办结",
        }
    }

    /// A short name that never changes.
    pub fn code(self) -> &'static str {
        match self {
            Self::Refs => "about-not-one",
            Self::Nothing => "about-nothing",
            Self::Refused => "about-refused",
            Self::Kind => "about-kind",
            Self::NotIssuer => "not-issuer",
            Self::Own => "about-own",
            Self::Subject => "subject",
            Self::Audience => "audience",
            Self::Withdrawn => "withdrawn",
            Self::Repaired => "repaired",
            Self::Revoked => "revoked",
            Self::Answered => "answered",
            Self::Stage => "stage",
        }
    }
}

impl Refused {
    /// A short name that never changes: for the store, problems and test vectors.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "too-long",
            Self::NotCompact => "not-compact",
            Self::Base64 => "base64",
            Self::Header => "header",
            Self::Typ => "typ",
            Self::Json(NotIJson::Syntax(_)) => "json",
            Self::Json(NotIJson::DuplicateMember(_)) => "duplicate-member",
            Self::Json(NotIJson::Float) => "float",
            Self::Json(NotIJson::ControlCharacter) => "control-character",
            Self::Json(NotIJson::Noncharacter) => "noncharacter",
            Self::Json(NotIJson::TooDeep) => "too-deep",
            Self::Member(_) => "member",
            Self::UnknownMember(_) => "unknown-member",
            Self::Issuer => "issuer",
            Self::UnknownKey => "unknown-key",
            Self::Algorithm => "algorithm",
            Self::HighS => "high-s",
            Self::Signature => "signature",
            Self::Schema(_) => "schema",
            Self::Rule(_) => "rule",
            Self::Class => "class",
            Self::Digest => "digest",
            Self::Backdated => "backdated",
            Self::Prev => "prev",
            Self::Compromised => "compromised",
            Self::WrongLog => "wrong-log",
            Self::Event(why) => why.code(),
        }
    }
}
