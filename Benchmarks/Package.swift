// swift-tools-version: 6.2
import PackageDescription

// Measurements beside the package: only the rooms that are measured, by links into ../Sources, so that a release build
// takes a minute and `package` access reaches what production uses. Not a part of `make test`.

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]
let lifetimes: [SwiftSetting] = settings + [.enableExperimentalFeature("Lifetimes")]

let package = Package(
    name: "heddle-benchmarks",
    platforms: [.macOS(.v15)],
    targets: [
        .target(name: "CJSONBlock"),
        .target(name: "KubeJSON", dependencies: ["CJSONBlock"], exclude: ["KubeJSON.docc"], swiftSettings: lifetimes),
        .target(name: "KubeCore", dependencies: ["KubeJSON"], exclude: ["KubeCore.docc"], swiftSettings: settings),
        .target(name: "SyntheticCluster", swiftSettings: settings),
        .executableTarget(
            name: "json-benchmark", dependencies: ["KubeJSON", "KubeCore", "SyntheticCluster"],
            swiftSettings: settings),
        .executableTarget(
            name: "json-fuzz", dependencies: ["KubeJSON", "KubeCore", "SyntheticCluster"], swiftSettings: settings),
        .target(name: "MeshModel", exclude: ["MeshModel.docc"], swiftSettings: settings),
        .target(
            name: "MeshEvidence", dependencies: ["KubeCore", "MeshModel"], exclude: ["MeshEvidence.docc"],
            swiftSettings: settings),
        .executableTarget(
            name: "verdict-simulation", dependencies: ["MeshEvidence", "SyntheticCluster"], swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
