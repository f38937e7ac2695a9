// swift-tools-version: 6.2
import Foundation
import PackageDescription

// The rooms of Heddle and who may enter which: docs/architecture.md has the same table in words.

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let asyncHTTPClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let asn1 = Target.Dependency.product(name: "SwiftASN1", package: "swift-asn1")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let deque = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let heap = Target.Dependency.product(name: "HeapModule", package: "swift-collections")
let grpcCore = Target.Dependency.product(name: "GRPCCore", package: "grpc-swift-2")
let grpcNIO = Target.Dependency.product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport")
let grpcProtobuf = Target.Dependency.product(name: "GRPCProtobuf", package: "grpc-swift-protobuf")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let hummingbirdTLS = Target.Dependency.product(name: "HummingbirdTLS", package: "hummingbird")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let metricsTestKit = Target.Dependency.product(name: "MetricsTestKit", package: "swift-metrics")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioFoundationCompat = Target.Dependency.product(name: "NIOFoundationCompat", package: "swift-nio")
let nioReload = Target.Dependency.product(name: "NIOCertificateReloading", package: "swift-nio-extras")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let x509 = Target.Dependency.product(name: "X509", package: "swift-certificates")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

/// A library room; its tests live in `Tests/<name>Tests` when `tested`.
func room(
    _ name: String, _ dependencies: [Target.Dependency] = [], exclude: [String] = [], tested: Bool = true,
    testing: [Target.Dependency] = [], testExclude: [String] = [], moreSettings: [SwiftSetting] = []
) -> [Target] {
    let library = Target.target(
        name: name, dependencies: dependencies, exclude: exclude, swiftSettings: settings + moreSettings)
    guard tested else { return [library] }
    return [
        library,
        .testTarget(
            name: name + "Tests", dependencies: [.init(stringLiteral: name)] + dependencies + testing,
            exclude: testExclude, swiftSettings: settings),
    ]
}

let package = Package(
    name: "heddle",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "heddle", targets: ["heddle"]),
        .executable(name: "heddle-operator", targets: ["heddle-operator"]),
        .executable(name: "heddle-agent", targets: ["heddle-agent"]),
        .executable(name: "heddle-sample", targets: ["heddle-sample"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.2"),
        .package(url: "https://github.com/grpc/grpc-swift-protobuf", from: "2.4.1"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // 64 bytes into bit masks, which Swift's vectors have no way to; a header, and nothing else in C.
        [.target(name: "CJSONBlock")],
        room("KubeJSON", ["CJSONBlock"], moreSettings: [.enableExperimentalFeature("Lifetimes")]),
        room("KubeCore", ["KubeJSON"]),
        room("KubeTesting", ["KubeCore"]),
        room("MetricsExport", [metrics]),
        room(
            "KubeClient", ["KubeCore", asyncHTTPClient, nioCore, nioPosix, nioHTTP1, nioSSL, yams, logging, metrics],
            testing: [x509, asn1, crypto, metricsTestKit]),
        room(
            "KubeRuntime", ["KubeCore", lifecycle, deque, heap, logging, metrics], testing: ["KubeTesting"]),
        room("HeddleAPI", ["KubeCore"]),
        room("MeshModel"),
        room("MeshDialects", ["KubeCore", "MeshModel"]),
        room("MeshEvidence", ["KubeCore", "MeshModel"], testing: ["KubeTesting"]),
        room(
            "MeshPlan", ["KubeCore", "HeddleAPI", "MeshModel", "MeshDialects", "MeshEvidence"],
            testing: ["KubeTesting"]),
        room("MeshIdentity", ["MeshModel", x509, asn1, crypto]),
        room("EnvoyAPI", [protobuf], exclude: ["protos"], tested: false),
        room("EnvoyConfig", ["MeshModel", "EnvoyAPI", protobuf], testExclude: ["Golden"]),
        room(
            "XDSServer",
            ["EnvoyAPI", protobuf, grpcCore, grpcNIO, grpcProtobuf, nioCore, nioSSL, nioReload, x509, asn1, logging],
            testing: ["MeshIdentity", "MeshModel"]),
        room(
            "HeddleControllers",
            [
                "KubeCore", "KubeRuntime", "HeddleAPI", "MeshModel", "MeshDialects", "MeshEvidence", "MeshPlan",
                logging,
                lifecycle,
            ], testing: ["KubeTesting"]),
        room(
            "HeddleServer",
            [
                "KubeCore", "KubeRuntime", "HeddleAPI", "MeshModel", "MeshPlan", "MeshIdentity", "EnvoyConfig",
                "XDSServer",
                hummingbird, hummingbirdTLS, nioCore, nioSSL, nioReload, x509, protobuf, "EnvoyAPI", "MeshDialects",
                logging, lifecycle,
            ], testing: ["KubeTesting", asyncHTTPClient, nioHTTP1]),
        room(
            "KubeSandbox",
            [
                "KubeCore", hummingbird, hummingbirdTLS, httpTypes, nioCore, nioPosix, nioHTTP1, nioSSL, x509, asn1,
                crypto, yams, asyncHTTPClient, logging, lifecycle,
            ]),
        [
            .executableTarget(
                name: "heddle",
                dependencies: [
                    "KubeCore", "KubeClient", "KubeRuntime", "HeddleAPI", "MeshModel", "MeshDialects", "MeshEvidence",
                    "MeshPlan", "KubeSandbox", argumentParser, asyncHTTPClient, nioCore, nioHTTP1, yams, logging,
                    lifecycle,
                ],
                swiftSettings: settings),
            .testTarget(name: "EndToEndTests", swiftSettings: settings),
            .testTarget(
                name: "ConformanceTests",
                dependencies: [
                    "KubeCore", "KubeClient", "KubeTesting", "KubeSandbox", asyncHTTPClient, hummingbird,
                    hummingbirdTLS,
                    httpTypes, nioCore, nioHTTP1, nioSSL, yams, logging, lifecycle,
                ],
                swiftSettings: settings),
            .testTarget(
                name: "InstallTests",
                dependencies: [
                    "KubeCore", "KubeTesting", "HeddleAPI", yams, asyncHTTPClient, nioCore, nioHTTP1, nioSSL,
                ],
                exclude: ["Examples", "Recorded"], swiftSettings: settings),
            .testTarget(
                name: "UpgradeTests",
                dependencies: [
                    "KubeCore", "KubeRuntime", "KubeTesting", "HeddleAPI", "HeddleControllers", "MeshEvidence",
                    "MeshPlan",
                    logging,
                ],
                exclude: ["Recorded"], swiftSettings: settings),
            .testTarget(name: "ImageTests", swiftSettings: settings),
            .testTarget(
                name: "HeddleCommandTests",
                dependencies: [
                    "heddle", "KubeCore", "KubeTesting", "HeddleAPI", "MeshEvidence", "MeshPlan", argumentParser,
                ],
                swiftSettings: settings),
            .executableTarget(
                name: "heddle-operator",
                dependencies: [
                    "KubeCore", "KubeClient", "KubeRuntime", "HeddleAPI", "HeddleControllers", "HeddleServer",
                    "MeshDialects",
                    "MeshEvidence", "MeshIdentity", "MeshModel", "MeshPlan", "MetricsExport", "XDSServer",
                    argumentParser, asyncHTTPClient, metrics,
                    nioCore, nioHTTP1, nioReload, nioSSL, logging, lifecycle, unixSignals,
                ],
                swiftSettings: settings),
            .testTarget(
                name: "HeddleOperatorTests",
                dependencies: [
                    "heddle-operator", "KubeCore", "KubeRuntime", "KubeSandbox", "KubeTesting", "HeddleAPI",
                    "MetricsExport", asyncHTTPClient, nioCore, nioHTTP1, logging, lifecycle, metrics,
                ],
                swiftSettings: settings),
            .executableTarget(
                name: "heddle-agent",
                dependencies: [
                    "MeshModel", "MeshIdentity", "EnvoyConfig", argumentParser, asyncHTTPClient, nioCore, nioPosix,
                    nioHTTP1,
                    nioSSL, x509, asn1, crypto, logging, lifecycle, unixSignals,
                ],
                swiftSettings: settings),
            .executableTarget(
                name: "heddle-sample",
                dependencies: [argumentParser, nioCore, nioPosix, nioHTTP1],
                swiftSettings: settings),
            .testTarget(
                name: "HeddleSampleTests",
                dependencies: ["heddle-sample", argumentParser, nioCore, nioPosix, nioHTTP1],
                swiftSettings: settings),
            .testTarget(
                name: "HeddleAgentTests",
                dependencies: [
                    "heddle-agent", "MeshModel", "MeshIdentity", "EnvoyConfig", argumentParser, nioCore, nioPosix,
                    nioHTTP1, nioSSL, x509, asn1, crypto, logging, lifecycle,
                ],
                exclude: ["Golden"], swiftSettings: settings),
        ],
    ].flatMap { $0 },
    swiftLanguageModes: [.v6]
)

// `HEDDLE_ONLY=XDSServerTests swift build` offers one target and what it needs, for work on one room while another does
// not compile. Unset, as in CI, it changes nothing.
if let only = ProcessInfo.processInfo.environment["HEDDLE_ONLY"], !only.isEmpty {
    let byName = Dictionary(uniqueKeysWithValues: package.targets.map { ($0.name, $0) })
    var kept: Set<String> = []
    var open = [only]
    while let name = open.popLast() {
        guard let target = byName[name], kept.insert(name).inserted else { continue }
        for case .byNameItem(let dependency, _) in target.dependencies { open.append(dependency) }
    }
    package.targets.removeAll { !kept.contains($0.name) }
    package.products.removeAll { !kept.contains($0.name) }
}
