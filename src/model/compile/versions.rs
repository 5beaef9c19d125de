//! Versions of services: one more compilation of all epochs for each of them.

use super::{Compiler, ShapeError, compile_all};
use crate::components::rollout::Amount;
use crate::model::versions::VersionShape;
use crate::model::{Group, Model};
use crate::spec::topology::Topology;

/// A service that is deployed, and its versions.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// The service.
    pub service: String,
    /// The largest surge of any deployment.
    pub surge: Amount,
    /// The names of its versions, without `base`.
    pub versions: Vec<String>,
}

/// Compiles a topology and what it becomes, as [`compile`](super::compile) does, with versions of services. The first
/// `states` topologies are the epochs; then come as many for each version, in the order of `deployed`.
///
/// # Errors
/// If a change or a version adds or removes a component, an endpoint, a request or a tenant. The epoch of the error
/// counts all topologies.
pub fn compile_versions(
    topologies: &[Topology],
    states: usize,
    deployed: &[Deployed],
) -> Result<Model, ShapeError> {
    compile_all(topologies, states, deployed)
}

/// How many places a service needs that is deployed: old instances may all be ending while there are as many new ones.
pub(super) fn places(deployed: &[Deployed], service: &str, most: u32) -> u32 {
    let surge = deployed.iter().find(|d| d.service == service).map(|d| d.surge.up(most));
    surge.map_or(most, |surge| most.saturating_add(surge).saturating_mul(2))
}

impl Compiler {
    /// Compiles the versions, once the epochs are.
    pub(super) fn versions(
        &mut self,
        topologies: &[Topology],
        states: usize,
        deployed: &[Deployed],
    ) -> Result<(), ShapeError> {
        let mut blocks = topologies.chunks(states.max(1)).enumerate().skip(1);
        for service in deployed {
            let group = self.model.groups.iter().position(|g| g.name == service.service).unwrap_or(0);
            self.model.versions.push(VersionShape {
                name: "base".into(),
                group: group as u32,
                epochs: Vec::new(),
            });
            for name in &service.versions {
                let Some((block, topologies)) = blocks.next() else { break };
                let mut epochs = Vec::with_capacity(states);
                for (state, topology) in topologies.iter().enumerate() {
                    let at = block * states + state;
                    self.same_shape(topology, at)?;
                    self.epoch(topology);
                    let Some(epoch) = self.model.epochs.pop() else { unreachable!("it was pushed") };
                    same_life(&self.model.epochs[state].groups[group], &epoch.groups[group], at)?;
                    epochs.push(epoch);
                }
                let version = VersionShape { name: name.clone(), group: group as u32, epochs };
                self.model.versions.push(version);
            }
        }
        Ok(())
    }
}

/// What instances of all versions of a group must have in common.
fn same_life(base: &Group, version: &Group, epoch: usize) -> Result<(), ShapeError> {
    if base.lambda.is_some() != version.lambda.is_some() {
        let what = "make a function of a service, or a service of a function".to_string();
        return Err(ShapeError { what, epoch });
    }
    Ok(())
}
