import Foundation

/// Programs of this machine that the live tests need, and how they are run.
enum LiveHost {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    static let envoy: String = {
        let environment = ProcessInfo.processInfo.environment
        return environment["HEDDLE_ENVOY"] ?? (environment["HOME"] ?? "/root") + "/.cache/heddle/envoy/envoy"
    }()

    static var hasEnvoy: Bool { FileManager.default.isExecutableFile(atPath: envoy) }

    /// Whether network namespaces can be made here: as root, with the usual tools.
    static var canRunMesh: Bool {
        hasEnvoy && getuid() == 0
            && ["ip", "nft", "curl", "openssl", "python3", "setpriv"].allSatisfy { find($0) != nil }
    }

    static func find(_ program: String) -> String? {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        return (path.split(separator: ":").map(String.init) + ["/usr/sbin", "/sbin"])
            .map { "\($0)/\(program)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    static func process(_ arguments: [String]) throws -> Process {
        guard let first = arguments.first, let program = first.hasPrefix("/") ? first : find(first) else {
            throw Failure(description: "not found: \(arguments)")
        }
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = Array(arguments.dropFirst())
        process.standardInput = FileHandle.nullDevice
        return process
    }

    /// Runs a program to its end and gives its exit status and what it wrote.
    static func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
        let process = try process(arguments)
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: data, as: UTF8.self))
    }

    @discardableResult
    static func check(_ arguments: [String]) throws -> String {
        let (status, output) = try run(arguments)
        guard status == 0 else {
            throw Failure(description: "\(arguments.joined(separator: " ")): \(status)\n\(output)")
        }
        return output
    }

    /// Polls until the condition holds, at most for `seconds`.
    static func wait(_ what: String, seconds: Int = 20, until condition: () throws -> Bool) throws {
        for _ in 0..<(seconds * 20) {
            if try condition() { return }
            usleep(50_000)
        }
        throw Failure(description: "timed out: \(what)")
    }
}

/// A certificate authority made with openssl, for tests.
struct LiveAuthority {
    let folder: String

    init(folder: String) throws {
        self.folder = folder
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try LiveHost.check([
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=test", "-keyout", folder + "/ca.key", "-out", folder + "/ca.pem",
        ])
    }

    /// Writes key, certificate and root into `target`.
    func issue(spiffeID: String, into target: String) throws {
        let extensions = target + "/san.cnf"
        try """
        subjectAltName=critical,URI:\(spiffeID)
        extendedKeyUsage=serverAuth,clientAuth
        keyUsage=digitalSignature
        """.write(toFile: extensions, atomically: true, encoding: .utf8)
        try LiveHost.check([
            "openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/",
            "-keyout", target + "/key.pem", "-out", target + "/csr.pem",
        ])
        try LiveHost.check([
            "openssl", "x509", "-req", "-in", target + "/csr.pem", "-CA", folder + "/ca.pem", "-CAkey",
            folder + "/ca.key",
            "-CAcreateserial", "-days", "1", "-extfile", extensions, "-out", target + "/cert.pem",
        ])
        try LiveHost.check(["cp", folder + "/ca.pem", target + "/root.pem"])
    }
}
