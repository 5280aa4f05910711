//! What others think of our logs: ct-merkle (RFC 6962), tlog_tiles and signed_note (C2SP) take our roots, tiles, proofs and
//! notes, and we take theirs.

use std::collections::HashMap;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use kaopu::log::note::{self, VerifierKey};
use kaopu::log::{Checkpoint, Class, Cosignature, Edge, Entry, Hash, TileId, WitnessKey, climb, proof, tile};
use kaopu::statement::{Digest, SigningKey, Suite};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use sha2::Sha256;
use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::tile::{Tile, TileHashReader, TileReader};
use tlog_tiles::tlog;

const SIZES: [u64; 8] = [0, 1, 255, 256, 257, 65_535, 65_536, 65_537];

fn entry(i: u64) -> Entry {
    let class = if i.is_multiple_of(3) { Class::Addressed } else { Class::Open };
    Entry { class, digest: Digest::of(&i.to_be_bytes()) }
}

/// One log: ours as edge and tiles, theirs as a tree in memory.
struct Log {
    edge: Edge,
    tiles: HashMap<TileId, Vec<Hash>>,
    theirs: MemoryBackedTree<Sha256, [u8; 34]>,
}

impl Log {
    fn of(size: u64) -> Self {
        let (mut edge, mut full, mut theirs) = (Edge::default(), Vec::new(), MemoryBackedTree::new());
        for i in 0..size {
            edge.push(entry(i).leaf_hash(), &mut full);
            theirs.push(entry(i).encode());
        }
        let full = full.into_iter().map(|t| (TileId { level: t.level, n: t.n, width: 256 }, t.hashes));
        let partial = climb::edge_tiles(size).into_iter().map(|id| (id, edge.level(id.level).to_vec()));
        let tiles = full.chain(partial).collect();
        Self { edge, tiles, theirs }
    }

    fn size(&self) -> u64 {
        self.edge.size()
    }

    fn node(&self, node: proof::Node) -> Result<Hash, &'static str> {
        let tile = self.tiles.get(&node.tile(self.size())).ok_or("no such tile")?;
        node.hash_in(tile).ok_or("not in its tile")
    }

    fn inclusion(&self, index: u64) -> Vec<Hash> {
        proof::inclusion(index, self.size(), |node| self.node(node)).unwrap()
    }

    fn consistency(&self, old: u64) -> Vec<Hash> {
        proof::consistency(old, self.size(), |node| self.node(node)).unwrap()
    }

    /// Entries on both sides of every border.
    fn indexes(&self) -> Vec<u64> {
        let near = SIZES.iter().flat_map(|s| [s.saturating_sub(2), s.saturating_sub(1), *s, s + 1]);
        let mut indexes: Vec<u64> = near.chain([100, 300, 40_000, 50_000]).filter(|i| *i < self.size()).collect();
        indexes.sort_unstable();
        indexes.dedup();
        indexes
    }
}

/// tlog_tiles reads, and authenticates, our tiles.
impl TileReader for Log {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog::Error> {
        let read = |t: &Tile| {
            let id = TileId { level: t.level(), n: t.level_index(), width: t.width() as u16 };
            assert_eq!(t.path(), format!("tile/8/{id}"), "the same tile has the same path");
            let (full, partial) = tile::tiles_at(self.size(), id.level);
            let width = if id.n < full { 256 } else { partial };
            let hashes = self.tiles.get(&TileId { width, ..id }).ok_or(tlog::Error::InvalidTile)?;
            let hashes = hashes.get(..id.width.into()).ok_or(tlog::Error::InvalidTile)?;
            Ok(tile::encode_hashes(hashes))
        };
        tiles.iter().map(read).collect()
    }

    fn save_tiles(&self, _tiles: &[Tile], _data: &[Vec<u8>]) {}
}

fn flat(proof: &[Hash]) -> Vec<u8> {
    proof.concat()
}

fn hashes(bytes: &[u8]) -> Vec<Hash> {
    bytes.as_chunks::<32>().0.to_vec()
}

fn root_of(size: u64, root: Hash) -> RootHash<Sha256> {
    RootHash::new(root.into(), size)
}

#[test]
fn ct_merkle_agrees_on_roots_and_proofs_at_every_border() {
    let logs = SIZES.map(Log::of);
    for log in &logs {
        let (size, root) = (log.size(), log.edge.root());
        assert_eq!(log.theirs.root().as_bytes()[..], root, "root of {size}");
        for index in log.indexes() {
            let ours = log.inclusion(index);
            let theirs = log.theirs.prove_inclusion(index as usize);
            let their_root = root_of(size, root);
            let proof = InclusionProof::from_bytes(flat(&ours));
            their_root.verify_inclusion(&entry(index).encode(), index, &proof).expect("our proof verifies there");
            let leaf = entry(index).leaf_hash();
            let verified = proof::verify_inclusion(&leaf, index, size, &hashes(theirs.as_bytes()), &root);
            assert_eq!(verified, Ok(()), "their proof of {index} in {size} verifies here");
        }
        for old in logs.iter().filter(|old| (1..size).contains(&old.size())) {
            let ours = log.consistency(old.size());
            let theirs = log.theirs.prove_consistency((size - old.size()) as usize);
            let proof = ConsistencyProof::try_from_bytes(flat(&ours)).unwrap();
            let old_root = old.edge.root();
            root_of(size, root)
                .verify_consistency(&root_of(old.size(), old_root), &proof)
                .expect("our proof verifies there");
            let theirs = hashes(theirs.as_bytes());
            assert_eq!(proof::verify_consistency(old.size(), &old_root, size, &root, &theirs), Ok(()));
        }
    }
}

#[test]
fn tlog_tiles_authenticates_our_tiles_and_makes_the_same_proofs_of_them() {
    for log in SIZES.map(Log::of).iter().filter(|log| log.size() > 0) {
        let (size, root) = (log.size(), tlog::Hash(log.edge.root()));
        // a reader that checks each tile that it loads against the root
        let reader = TileHashReader::new(size, root, log);
        for index in log.indexes() {
            let leaf = tlog::record_hash(&entry(index).encode());
            let theirs = tlog::prove_record(size, index, &reader).expect("our tiles are authentic");
            assert_eq!(theirs.iter().map(|h| h.0).collect::<Vec<_>>(), log.inclusion(index));
            tlog::check_record(&theirs, size, root, index, leaf).expect("our proof verifies there");
        }
        for old in log.indexes().into_iter().filter(|old| *old > 0) {
            let theirs = tlog::prove_tree(size, old, &reader).expect("our tiles are authentic");
            assert_eq!(theirs.iter().map(|h| h.0).collect::<Vec<_>>(), log.consistency(old));
        }
    }
}

#[test]
fn tlog_tiles_names_the_tiles_that_a_growing_log_publishes() {
    for pair in SIZES.windows(2) {
        let (old, log) = (Log::of(pair[0]), Log::of(pair[1]));
        let mut theirs: Vec<String> =
            Tile::new_tiles(8, pair[0], pair[1]).iter().map(|t| t.path().replacen("tile/8/", "", 1)).collect();
        let new = |id: &&TileId| !old.tiles.contains_key(id);
        let mut ours: Vec<String> = log.tiles.keys().filter(new).map(TileId::to_string).collect();
        theirs.sort_unstable();
        ours.sort_unstable();
        assert_eq!(ours, theirs, "from {} to {}", pair[0], pair[1]);
    }
}

fn log_key(seed: u64) -> SigningKey {
    SigningKey::generate(Suite::EdDsa, &mut StdRng::seed_from_u64(seed))
}

#[test]
fn signed_note_and_tlog_tiles_open_our_checkpoints() {
    let (key, other) = (log_key(1), log_key(2));
    for log in SIZES.map(Log::of) {
        let origin = "kaopu/310107.scjg/records/2".parse().unwrap();
        let checkpoint = Checkpoint { origin, size: log.size(), root: log.edge.root() };
        let mut signed = checkpoint.sign(&key).unwrap();
        let verifier = |key: &SigningKey| VerifierKey {
            name: checkpoint.origin.to_string(),
            key: key.public().ed25519_bytes().unwrap(),
        };
        // while the key is rotated both sign
        signed += &note::signature_line(&checkpoint.text(), &checkpoint.origin.to_string(), &other).unwrap();
        let text = verifier(&key).to_text();
        let theirs = StandardVerifier::new(&text).expect("our verifier key is taken there");
        let read = Note::from_bytes(signed.as_bytes()).expect("our note is a note there");
        let (verified, unknown) = read.verify(&VerifierList::new(vec![Box::new(theirs)])).expect("and verifies there");
        assert_eq!((verified.len(), unknown.len()), (1, 1));
        assert_eq!(verified[0].id(), verifier(&key).id());
        let theirs = tlog_tiles::checkpoint::Checkpoint::from_bytes(read.text()).expect("a checkpoint there");
        assert_eq!((theirs.origin(), theirs.size()), (&*checkpoint.origin.to_string(), log.size()));
        assert_eq!(theirs.hash().0, log.edge.root());
        for keys in [vec![verifier(&key)], vec![verifier(&other)], vec![verifier(&other), verifier(&key)]] {
            assert_eq!(Checkpoint::open(&signed, &checkpoint.origin, &keys), Ok(checkpoint.clone()));
        }
        assert_eq!(VerifierKey::parse(&text), Ok(verifier(&key)));
    }
}

/// A cosignature as its specification has it, verified by the bytes.
struct TheirWitness(WitnessKey);

impl signed_note::Verifier for TheirWitness {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn key_id(&self) -> u32 {
        signed_note::key_id(&self.0.name, &[&[4], &self.0.key[..]].concat())
    }

    fn verify(&self, msg: &[u8], sig: &[u8]) -> bool {
        use ed25519_dalek::Verifier as _;
        let (time, signature) = sig.split_at(8);
        let time = u64::from_be_bytes(time.try_into().unwrap());
        let signed = [format!("cosignature/v1\ntime {time}\n").as_bytes(), msg].concat();
        let key = ed25519_dalek::VerifyingKey::from_bytes(&self.0.key).unwrap();
        key.verify(&signed, &signature.try_into().unwrap()).is_ok()
    }
}

#[test]
fn signed_note_finds_our_cosignatures_beneath_our_checkpoints() {
    let (key, witness) = (log_key(1), log_key(2));
    let checkpoint = Checkpoint { origin: "kaopu/310107/records/1".parse().unwrap(), size: 5, root: [9; 32] };
    let name = "kaopu/340500/witness";
    let cosignature = Cosignature::sign(&checkpoint.text(), name, &witness, 1_790_000_000).unwrap();
    let note = format!("{}{}\n", checkpoint.sign(&key).unwrap(), cosignature.line);
    let witness = WitnessKey { name: name.to_owned(), key: witness.public().ed25519_bytes().unwrap() };
    let read = Note::from_bytes(note.as_bytes()).expect("a note there");
    let known = VerifierList::new(vec![Box::new(TheirWitness(witness.clone()))]);
    let (verified, unknown) = read.verify(&known).expect("and verifies there");
    assert_eq!((verified.len(), unknown.len(), verified[0].id()), (1, 1, witness.id()));
}

/// What they sign with is held in the form `PRIVATE+KEY+<name>+<hash>+<base64 of 01 ‖ seed>`.
fn their_signer(name: &str, seed: [u8; 32]) -> (signed_note::StandardSigner, String) {
    use base64::Engine as _;
    let key = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key().to_bytes();
    let verifier = VerifierKey { name: name.to_owned(), key };
    let base64 = base64::engine::general_purpose::STANDARD.encode([&[1], &seed[..]].concat());
    let private = format!("PRIVATE+KEY+{name}+{:08x}+{base64}", verifier.id());
    (signed_note::StandardSigner::new(&private).expect("the key ids agree"), verifier.to_text())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn we_open_what_signed_note_signed(text in "([^\\pC\n]{0,40}\n){1,5}", name in "[a-z/0-9.]{1,30}", seed: [u8; 32]) {
        let (signer, vkey) = their_signer(&name, seed);
        let Ok(mut theirs) = Note::new(text.as_bytes(), &[]) else { return Ok(()) };
        theirs.add_sigs(&[&signer]).unwrap();
        let signed = String::from_utf8(theirs.to_bytes()).unwrap();
        let key = VerifierKey::parse(&vkey).unwrap();
        // a text of one empty line is a note there and none here: nothing would be signed
        prop_assert_eq!(note::open(&signed, &[key]).is_ok(), text != "\n");
    }

    #[test]
    fn we_and_signed_note_take_the_same_bytes_for_a_note(at: prop::sample::Index, to: u8) {
        let (signer, vkey) = their_signer("kaopu/310107/records/1", [5; 32]);
        let mut theirs = Note::new("kaopu/310107/records/1\n0\n示例\n".as_bytes(), &[]).unwrap();
        theirs.add_sigs(&[&signer]).unwrap();
        let mut bytes = theirs.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] = to;
        let Ok(signed) = String::from_utf8(bytes) else { return Ok(()) };
        let known = VerifierList::new(vec![Box::new(StandardVerifier::new(&vkey).unwrap())]);
        let there = Note::from_bytes(signed.as_bytes()).and_then(|note| note.verify(&known)).is_ok();
        prop_assert_eq!(note::open(&signed, &[VerifierKey::parse(&vkey).unwrap()]).is_ok(), there);
    }

    #[test]
    fn roots_and_proofs_agree_at_any_size(size in 1_u64..1500, part in 0.0..1.0) {
        let log = Log::of(size);
        let index = (size as f64 * part) as u64;
        let theirs = log.theirs.root();
        prop_assert_eq!(&theirs.as_bytes()[..], &log.edge.root()[..]);
        let theirs = log.theirs.prove_inclusion(index as usize);
        prop_assert_eq!(flat(&log.inclusion(index)), theirs.as_bytes());
        if index > 0 {
            let theirs = log.theirs.prove_consistency((size - index) as usize);
            prop_assert_eq!(flat(&log.consistency(index)), theirs.as_bytes());
        }
    }
}
