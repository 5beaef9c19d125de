//! Metrics of versions: only services that are deployed have them.

use super::Builder;
use crate::base::units::Unit;
use crate::model::Model;

/// Ids of the meters of a version.
#[derive(Clone, Copy, Debug, Default)]
pub struct VersionMeters {
    /// Red: requests.
    pub red: u32,
    /// Gauge: instances that are there and not ending.
    pub replicas: u32,
    /// Gauge: instances that are ready.
    pub ready: u32,
}

/// Ids of the meters of a service that is deployed.
#[derive(Clone, Copy, Debug, Default)]
pub struct FleetMeters {
    /// Gauge: instances of the version that there should be.
    pub updated: u32,
    /// Gauge: replicas that are not available.
    pub unavailable: u32,
    /// Gauge: instances of all versions, ending ones included.
    pub instances: u32,
}

impl Builder {
    /// The reds of versions, which come with the other reds.
    pub(super) fn version_reds(&mut self, model: &Model) {
        for _ in &model.versions {
            let red = self.red();
            self.catalog.versions.push(VersionMeters { red, ..VersionMeters::default() });
        }
        for group in 0..model.groups.len() as u32 {
            let is_deployed = model.versions.iter().any(|version| version.group == group);
            self.catalog.fleets.push(is_deployed.then(FleetMeters::default));
        }
    }

    /// The gauges of services that are deployed, which what they cost needs.
    pub(super) fn fleets(&mut self) {
        for group in 0..self.catalog.fleets.len() {
            if self.catalog.fleets[group].is_some() {
                let meters =
                    FleetMeters { updated: self.gauge(), unavailable: self.gauge(), instances: self.gauge() };
                self.catalog.fleets[group] = Some(meters);
            }
        }
    }

    pub(super) fn versions(&mut self, model: &Model) {
        let unit = Unit::Count("instances");
        for (number, version) in model.versions.iter().enumerate() {
            let service = &model.groups[version.group as usize].name;
            let path = format!("services.{service}.versions.{}", version.name);
            let red = self.catalog.versions[number].red;
            let meters = VersionMeters { red, replicas: self.gauge(), ready: self.gauge() };
            self.catalog.versions[number] = meters;
            let of = format!("requests to instances of version {}", version.name);
            self.red_metrics(&path, red, &of);
            for (name, gauge, meaning) in [
                ("replicas", meters.replicas, "instances of this version that are there and not ending"),
                ("ready", meters.ready, "instances of this version that run and are ready"),
            ] {
                self.level(format!("{path}.{name}"), unit, meaning, gauge, 1.0);
            }
        }
        for (shape, meters) in model.groups.iter().zip(self.catalog.fleets.clone()) {
            let Some(meters) = meters else { continue };
            let path = format!("services.{}.deployment", shape.name);
            for (name, gauge, meaning) in [
                ("updated", meters.updated, "instances of the version that there should be"),
                ("unavailable", meters.unavailable, "replicas that are not available"),
                ("instances", meters.instances, "instances of all versions, those that are ending included"),
            ] {
                self.level(format!("{path}.{name}"), unit, meaning, gauge, 1.0);
            }
        }
    }
}
