package import FoundationEssentials

/// Replaces a root without a moment in which two workloads do not trust each other.
///
/// First everybody learns to trust the new root, then leaves are signed by it, and when no leaf of the old one can be
/// alive the old root goes. The caller keeps the stage (it is part of the authority's Secret) and asks again later.
package struct RootRotation: Sendable, Equatable {
    package enum Stage: Sendable, Equatable {
        /// One root. Exits: to `distributing` by `begin`.
        case stable
        /// Both roots are handed out, the old one signs. Exits: to `resigning`.
        case distributing(since: Date)
        /// Both roots are handed out, the new one signs. Exits: to `stable` with the new root alone.
        case resigning(since: Date)
    }

    package private(set) var stage: Stage
    /// How long the new root is handed out before it signs: longer than the slowest workload takes to read a bundle.
    package let distribution: Duration
    /// The longest lifetime of a leaf.
    package let leafLifetime: Duration

    package init(stage: Stage = .stable, distribution: Duration, leafLifetime: Duration) {
        self.stage = stage
        self.distribution = distribution
        self.leafLifetime = leafLifetime
    }

    /// Whether the new root signs already.
    package var isNewRootSigning: Bool {
        if case .resigning = stage { true } else { false }
    }

    /// Begins a rotation. One that is under way goes on.
    package mutating func begin(now: Date) {
        if stage == .stable { stage = .distributing(since: now) }
    }

    /// Moves on when it is time.
    ///
    /// - Parameter isNewRootEverywhere: Whether every workload that can be asked trusts the new root; it can hold the
    ///   rotation, never hasten it.
    /// - Returns: Whether the stage changed; after a change to `stable` the old root is to be removed.
    package mutating func advance(now: Date, isNewRootEverywhere: Bool) -> Bool {
        switch stage {
        case .stable:
            return false
        case .distributing(let since):
            guard isNewRootEverywhere, now.timeIntervalSince(since) >= distribution.inSeconds else { return false }
            stage = .resigning(since: now)
        case .resigning(let since):
            let longest = leafLifetime.inSeconds + LifetimePolicy.backdating.inSeconds
            guard now.timeIntervalSince(since) >= longest else { return false }
            stage = .stable
        }
        return true
    }
}
