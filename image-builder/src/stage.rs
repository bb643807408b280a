//! Which stages a build has, in which order they run and which of them are already done. Pure: no file is read here.
//!
//! A stage's key is a hash of its name, of everything it is made from and of the keys of the stages it needs. The
//! stage's output lies in a directory named by the key, so a finished stage is reused exactly when nothing that
//! leads to it has changed.

use sha2::{Digest, Sha256};

/// One step of a build, before its inputs are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    pub name: &'static str,
    pub needs: &'static [&'static str],
}

/// In any order; [`order`] finds the one to run.
pub const STAGES: &[Stage] = &[
    Stage {
        name: "boot-packages",
        needs: &[],
    },
    Stage {
        name: "packages",
        needs: &[],
    },
    Stage {
        name: "root",
        needs: &["boot-packages", "packages"],
    },
    Stage {
        name: "slot-boot",
        needs: &["boot-packages"],
    },
    Stage {
        name: "firmware",
        needs: &["boot-packages"],
    },
    Stage {
        name: "disk",
        needs: &["root", "slot-boot", "firmware"],
    },
    Stage {
        name: "publish",
        needs: &["disk", "packages", "boot-packages"],
    },
];

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    #[error("stage {stage} needs {need}, which is no stage")]
    Unknown { stage: &'static str, need: &'static str },
    #[error("stages need each other in a circle: {0:?}")]
    Circle(Vec<&'static str>),
}

/// The stages so that each comes after all it needs; among those that could run, the one listed first does.
pub fn order(stages: &[Stage]) -> Result<Vec<Stage>, OrderError> {
    for stage in stages {
        if let Some(need) = stage.needs.iter().find(|need| !stages.iter().any(|s| s.name == **need)) {
            return Err(OrderError::Unknown {
                stage: stage.name,
                need,
            });
        }
    }
    let mut waiting: Vec<Stage> = stages.to_vec();
    let mut ordered: Vec<Stage> = Vec::with_capacity(stages.len());
    while !waiting.is_empty() {
        let ready = waiting.iter().position(|stage| {
            stage
                .needs
                .iter()
                .all(|need| ordered.iter().any(|done| done.name == *need))
        });
        match ready {
            Some(index) => ordered.push(waiting.remove(index)),
            None => return Err(OrderError::Circle(waiting.iter().map(|stage| stage.name).collect())),
        }
    }
    Ok(ordered)
}

/// Collects what a stage is made from.
#[derive(Clone)]
pub struct KeyHasher(Sha256);

impl KeyHasher {
    pub fn new(stage: &str) -> KeyHasher {
        let mut hasher = KeyHasher(Sha256::new());
        hasher.add("stage", stage.as_bytes());
        hasher
    }

    /// Name and value are both length-prefixed, so that no two lists of inputs look alike.
    pub fn add(&mut self, name: &str, value: &[u8]) {
        for part in [name.as_bytes(), value] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
    }

    /// Sixteen hexadecimal digits: short enough for a directory's name, long enough never to collide here.
    pub fn finish(self) -> String {
        hex::encode(&self.0.finalize()[..8])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_build_has_an_order() {
        let ordered = order(STAGES).unwrap();
        assert_eq!(ordered.len(), STAGES.len());
        for (index, stage) in ordered.iter().enumerate() {
            for need in stage.needs {
                assert!(
                    ordered[..index].iter().any(|done| done.name == *need),
                    "{} before {need}",
                    stage.name
                );
            }
        }
        assert_eq!(ordered.last().unwrap().name, "publish");
    }

    #[test]
    fn circles_and_unknown_needs_are_refused() {
        let a = Stage {
            name: "a",
            needs: &["b"],
        };
        let b = Stage {
            name: "b",
            needs: &["a"],
        };
        assert_eq!(order(&[a, b]), Err(OrderError::Circle(vec!["a", "b"])));
        assert_eq!(order(&[a]), Err(OrderError::Unknown { stage: "a", need: "b" }));
    }

    fn key(inputs: &[(String, Vec<u8>)]) -> String {
        let mut hasher = KeyHasher::new("s");
        for (name, value) in inputs {
            hasher.add(name, value);
        }
        hasher.finish()
    }

    proptest! {
        #[test]
        fn different_inputs_have_different_keys(
            one in prop::collection::vec((".{0,3}", prop::collection::vec(any::<u8>(), 0..4)), 0..4),
            other in prop::collection::vec((".{0,3}", prop::collection::vec(any::<u8>(), 0..4)), 0..4),
        ) {
            prop_assert_eq!(key(&one) == key(&other), one == other);
        }
    }
}
