/// What happens to the workloads `cart` and `catalog` (cart calls catalog) on their way into the mesh; and how it must end.
enum AdoptionScenario: String, Sendable, CaseIterable {
    /// Both are meshed and strict.
    case forward
    /// `catalog` does not start with a sidecar: it is put back without one.
    case brokenRestart
    /// Connections to `catalog` fail once it is strict: it is permissive again.
    case brokenStrict
    /// The target is lowered to Observe when both are strict.
    case lowered
    /// `catalog` is deleted when both are strict.
    case gone
}
