//! The words of the schema, made from what the field calls them; and what this node knows of kinds and groups.

use std::collections::{BTreeMap, HashMap, HashSet};

use cedar_policy::{
    Entity, EntityAttrEvaluationError, EntityId, EntityTypeName, EntityUid, RestrictedExpression as Value,
};

use super::fault::PolicyFault;
use super::files::SCHEMA;
use super::group::Groups;
use crate::statement::kind::Sharing;
use crate::statement::{Kinds, NodeId};

/// The kinds and groups that a policy may name, and the node that decides.
#[derive(Clone, Debug)]
pub struct Known {
    pub(super) here: NodeId,
    pub(super) kinds: BTreeMap<String, Sharing>,
    pub(super) groups: Groups,
}

impl Known {
    /// The kinds of a node, each with the sharing class of its newest version, and the groups of its configuration.
    pub fn new(here: &NodeId, kinds: &Kinds, groups: &Groups) -> Self {
        // in the order of versions, so the newest stays
        let kinds = kinds.all().map(|kind| (kind.typ.kind.clone(), kind.sharing)).collect();
        Self { here: here.clone(), kinds, groups: groups.clone() }
    }
}

/// Why an entity could not be made.
pub(super) type NotMade = Box<EntityAttrEvaluationError>;

/// Types of entities, parsed once.
#[derive(Clone, Debug)]
pub(super) struct Words {
    types: HashMap<&'static str, EntityTypeName>,
}

const TYPES: [&str; 15] = [
    "Action",
    "Follower",
    "Group",
    "Kind",
    "Node",
    "Province",
    "Purpose",
    "Region",
    "Repair",
    "RepairType",
    "Revocation",
    "Severity",
    "Sharing",
    "Statement",
    "Subject",
];

impl Words {
    pub(super) fn new() -> Result<Self, PolicyFault> {
        let mut types = HashMap::new();
        for name in TYPES {
            let parsed = name.parse().map_err(|error| PolicyFault::of(SCHEMA.0, SCHEMA.1, 0, &error));
            types.insert(name, parsed?);
        }
        Ok(Self { types })
    }

    /// `of::"id"`.
    #[expect(clippy::indexing_slicing, reason = "only names of TYPES are asked for, in this module")]
    pub(super) fn uid(&self, of: &'static str, id: &str) -> EntityUid {
        EntityUid::from_type_name_and_id(self.types[of].clone(), EntityId::new(id))
    }

    /// A reference to `of::"id"`.
    pub(super) fn reference(&self, of: &'static str, id: &str) -> Value {
        Value::new_entity_uid(self.uid(of, id))
    }

    /// An entity that is in others.
    pub(super) fn entity<const N: usize>(
        uid: EntityUid,
        attributes: [(&'static str, Value); N],
        parents: HashSet<EntityUid>,
    ) -> Result<Entity, NotMade> {
        let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Entity::new(uid, attributes, parents)?)
    }

    /// A node, with the region, province and groups that it is in.
    pub(super) fn node(&self, node: &NodeId, known: &Known) -> Result<Entity, NotMade> {
        let (region, province) = (node.division(), &node.division()[..2]);
        let mut parents = HashSet::from([self.uid("Region", region), self.uid("Province", province)]);
        let groups = known.groups.iter().filter(|(_, members)| members.iter().any(|member| member.is(node)));
        parents.extend(groups.map(|(name, _)| self.uid("Group", name)));
        let attributes =
            [("region", self.reference("Region", region)), ("province", self.reference("Province", province))];
        Self::entity(self.uid("Node", node.as_str()), attributes, parents)
    }

    /// A kind, with its sharing class. One that is not known here counts as not shared.
    pub(super) fn kind(&self, kind: &str, known: &Known) -> Result<Entity, NotMade> {
        let sharing = match known.kinds.get(kind) {
            Some(Sharing::Unconditional) => "unconditional",
            Some(Sharing::Conditional) => "conditional",
            Some(Sharing::None) | None => "none",
        };
        Self::entity(self.uid("Kind", kind), [("sharing", self.reference("Sharing", sharing))], HashSet::new())
    }
}
