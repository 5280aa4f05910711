//! Why something was not done about an application.

use crate::about::SayError;
use crate::node::NodeError;
use crate::record::application::NotNow;
use crate::statement::sealed::SealError;
use crate::statement::{Digest, NodeId};
use crate::store::StoreError;
use crate::trust::keys::NoKey;

/// Why something was not done about an application.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplicationError {
    /// There is none of this digest.
    #[error(
        "no application of the digest {0} is here; `kaopu application list --all` shows those that are 未找到该申请"
    )]
    Unknown(Digest),
    /// It was filed elsewhere.
    #[error(
        "the application was filed at {0}: only that window supplies more or takes it back 只有受理窗口可以补正或撤回"
    )]
    NotTheWindow(NodeId),
    /// Another node's record.
    #[error("the record is {0}'s: only that node decides on the application 谁认定谁修复")]
    NotTheDecider(NodeId),
    /// The window would be late as soon as it is asked.
    #[error("the last day that is given is over: --until takes today or a later day 期限已过")]
    Over,
    /// It does not stand where this could follow.
    #[error(transparent)]
    NotNow(#[from] NotNow),
    /// The record is this node's own.
    #[error("the record is this node's own: decide with `kaopu repair` 本地信息请直接办理修复")]
    OwnRecord,
    /// It is no record.
    #[error("{0} is not the digest of a record that is here; `kaopu record CODE` shows digests 未找到该信息")]
    NotARecord(Digest),
    /// This window has filed one about the record.
    #[error("this node has filed an application about the record already: {0} 该信息已有办理中的申请")]
    Filed(Digest),
    /// Only active peers see what is filed for them.
    #[error(
        "{0} is not an active peer of this node: it would see neither the application nor its files; `kaopu peer list` shows how it stands"
    )]
    NotAPeer(NodeId),
    /// It says no key to seal under.
    #[error("the descriptor of {0} names no sealing key: no file can be sealed for it")]
    NoSealKey(NodeId),
    /// A file is too long.
    #[error(
        "{name} has {bytes} bytes, and a file may have {most} at most ([attachments] file_bytes in node.toml) 附件过大"
    )]
    TooLarge {
        /// Which.
        name: String,
        /// How long it is.
        bytes: u64,
        /// How long it may be.
        most: u64,
    },
    /// The record was repaired before.
    #[error(
        "{why}; the repair {repair} stands: `kaopu application decide {application} --repair {repair}` ends the application with it"
    )]
    Repaired {
        /// Why no other repair is said.
        why: SayError,
        /// The application.
        application: Digest,
        /// The repair.
        repair: Digest,
    },
    /// There are too many.
    #[error("an application has {0} files at most ([attachments] files in node.toml) 附件过多")]
    TooMany(usize),
    /// There is nothing in it.
    #[error("{0} is empty 附件为空")]
    Empty(String),
    /// No room.
    #[error("there is no room for more files ([attachments] total_bytes in node.toml) 附件存储空间不足")]
    NoRoom,
    /// That is no repair of this record that stands.
    #[error(
        "{0} is not a repair of this record by this node that stands; `kaopu record CODE --all` shows them 不是该信息的有效修复"
    )]
    NotARepair(Digest),
    /// The application does not say it either.
    #[error("the application does not say which type of repair is asked for: say --type 请注明修复类型")]
    NoType,
    /// No such file is here.
    #[error("no file of the digest {0} is here; `kaopu application show` names them 未找到该附件")]
    NoFile(Digest),
    /// Only the other side opens it.
    #[error("the file was sealed here for {0}: only that node can open it 该附件只有决定机关可以打开")]
    ForAnother(NodeId),
    /// It has not come yet.
    #[error("the file has not come yet{0} 附件尚未取到")]
    NotYet(String),
    /// It was erased.
    #[error("the file was erased: its time was over 附件已到期清除")]
    Erased,
    /// It does not open.
    #[error("the file does not open: {0} 附件无法打开")]
    Sealed(#[from] SealError),
    /// The sealing keys.
    #[error("keys: {0}")]
    Key(#[from] NoKey),
    /// A kind is missing.
    #[error("the kind {0} is not known here: look at `schemas` in node.toml")]
    NoKind(&'static str),
    /// It was not said.
    #[error(transparent)]
    Say(#[from] SayError),
    /// The node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}
