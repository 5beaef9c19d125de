//! Versions of services: settings that only some instances of a group have.

use super::{Epoch, Group, Model};

/// The version of an instance whose group is never deployed.
pub const NO_VERSION: u16 = u16::MAX;

/// A version of a service.
#[derive(Clone, Debug)]
pub struct VersionShape {
    /// Its name; `base` for what runs at the start.
    pub name: String,
    /// The group.
    pub group: u32,
    /// The settings that it has in each epoch; empty for `base`, which has those of the epoch itself.
    pub epochs: Vec<Epoch>,
}

impl Model {
    /// The settings that an instance of a version has in an epoch.
    #[inline]
    pub fn settings_of(&self, version: u16, epoch: usize) -> &Epoch {
        let own = self.versions.get(usize::from(version)).and_then(|version| version.epochs.get(epoch));
        own.unwrap_or(&self.epochs[epoch])
    }

    /// All settings that there are: those of all epochs, then those of all versions in them.
    pub fn all_settings(&self) -> impl Iterator<Item = &Epoch> {
        self.epochs.iter().chain(self.versions.iter().flat_map(|version| &version.epochs))
    }

    /// All settings that a group ever has, for any of its instances.
    pub fn all_of_group(&self, group: usize) -> impl Iterator<Item = &Group> {
        self.all_settings().map(move |epoch| &epoch.groups[group])
    }

    /// The version that instances of a group have at the start.
    pub fn first_version(&self, group: u32) -> u16 {
        self.versions.iter().position(|v| v.group == group).map_or(NO_VERSION, |at| at as u16)
    }

    /// The number of a version of a group.
    pub fn version_named(&self, group: u32, name: &str) -> Option<u16> {
        self.versions.iter().position(|v| v.group == group && v.name == name).map(|at| at as u16)
    }
}
