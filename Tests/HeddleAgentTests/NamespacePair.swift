import Foundation

@testable import heddle_agent

#if canImport(Glibc)
    import Glibc
#endif

/// A socket of the test, by descriptor.
struct Listening: Sendable {
    let descriptor: Int32

    /// Whether a connection arrives within a twentieth of a second; it is closed at once.
    func acceptsOne() -> Bool {
        var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard Glibc.poll(&poll, 1, 50) == 1 else { return false }
        let accepted = accept(descriptor, nil, nil)
        if accepted >= 0 { _ = Glibc.close(accepted) }
        return accepted >= 0
    }

    func close() { _ = Glibc.close(descriptor) }
}

/// Two network namespaces joined by a veth pair: the pod (10.77.0.1) and a peer (10.77.0.2).
///
/// Sockets are opened on a thread that has entered the namespace: a socket stays where it was made. `setfsuid`, which
/// holds for one thread only, gives it its owner.
struct NamespacePair: Sendable {
    struct Failure: Error, CustomStringConvertible { let description: String }

    static var isAvailable: Bool { getuid() == 0 && ChildProcess.find("ip") != nil && ChildProcess.find("nft") != nil }

    private let ip: String
    private let nft: String
    private let pod: String
    private let peer: String

    init() async throws {
        guard let ip = ChildProcess.find("ip"), let nft = ChildProcess.find("nft") else {
            throw Failure(description: "ip and nft are needed")
        }
        self.ip = ip
        self.nft = nft
        let tag = String(UInt32.random(in: 0 ... .max), radix: 36)
        pod = "hdl-pod-\(tag)"
        peer = "hdl-peer-\(tag)"
        do {
            try await run("netns add \(pod)")
            try await run("netns add \(peer)")
            try await run("-n \(pod) link add eth0 type veth peer name eth0 netns \(peer)")
            for (name, address) in [(pod, "10.77.0.1"), (peer, "10.77.0.2")] {
                try await run("-n \(name) link set lo up")
                try await run("-n \(name) addr add \(address)/24 dev eth0")
                try await run("-n \(name) link set eth0 up")
            }
            try await run("-n \(pod) route add default via 10.77.0.2")
        } catch {
            remove()
            throw error
        }
    }

    func remove() {
        for name in [pod, peer] {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: ip)
            process.arguments = ["netns", "del", name]
            process.standardError = FileHandle.nullDevice
            try? process.run()
            process.waitUntilExit()
        }
    }

    func loadRules(_ script: String) async throws {
        let result = try await ChildProcess.run(ip, ["netns", "exec", pod, nft, "-f", "-"], input: script)
        guard result.status == .exited(0) else { throw Failure(description: result.errors) }
    }

    func listen(inPeer: Bool, port: UInt16) throws -> Listening {
        try inside(inPeer ? peer : pod, uid: 0) {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            try Self.bind(descriptor, "0.0.0.0", port)
            guard Glibc.listen(descriptor, 8) == 0 else { throw Failure(description: "listen: \(errno)") }
            return Listening(descriptor: descriptor)
        }
    }

    func dial(fromPeer: Bool, uid: UInt32, source: String?, to host: String, port: UInt16) throws -> Listening {
        try inside(fromPeer ? peer : pod, uid: uid) {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            if let source { try Self.bind(descriptor, source, 0) }
            var address = Self.address(host, port)
            let size = socklen_t(MemoryLayout<sockaddr_in>.size)
            let code = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, size) }
            }
            guard code == 0 else {
                throw Failure(description: "connect to \(host):\(port): \(String(cString: strerror(errno)))")
            }
            return Listening(descriptor: descriptor)
        }
    }

    private func run(_ line: String) async throws {
        let result = try await ChildProcess.run(ip, line.split(separator: " ").map(String.init), input: "")
        guard result.status == .exited(0) else { throw Failure(description: "ip \(line): \(result.errors)") }
    }

    private func inside(_ name: String, uid: UInt32, _ body: @escaping @Sendable () throws -> Listening) throws
        -> Listening
    {
        let box = ResultBox()
        let done = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            defer { done.signal() }
            let namespace = open("/run/netns/\(name)", O_RDONLY | O_CLOEXEC)
            guard namespace >= 0, Self.enter(namespace) else {
                box.result = .failure(Failure(description: "cannot enter \(name): \(errno)"))
                return
            }
            _ = Glibc.close(namespace)
            Self.own(uid)
            box.result = Result { try body() }
        }
        done.wait()
        guard let result = box.result else { throw Failure(description: "the thread gave nothing") }
        return try result.get()
    }

    // Linux calls that the Glibc module does not show.
    private static func enter(_ namespace: Int32) -> Bool {
        typealias Setns = @convention(c) (Int32, Int32) -> Int32
        guard let symbol = dlsym(nil, "setns") else { return false }
        let cloneNewNet: Int32 = 0x4000_0000
        return unsafeBitCast(symbol, to: Setns.self)(namespace, cloneNewNet) == 0
    }

    private static func own(_ uid: UInt32) {
        typealias Setfsuid = @convention(c) (UInt32) -> Int32
        guard let symbol = dlsym(nil, "setfsuid") else { return }
        _ = unsafeBitCast(symbol, to: Setfsuid.self)(uid)
    }

    /// Written by one thread before the semaphore is signalled, read by another afterwards.
    private final class ResultBox: @unchecked Sendable {
        var result: Result<Listening, any Error>?
    }

    private static func address(_ host: String, _ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        inet_pton(AF_INET, host, &address.sin_addr)
        return address
    }

    private static func bind(_ descriptor: Int32, _ host: String, _ port: UInt16) throws {
        var address = address(host, port)
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.bind(descriptor, $0, size) }
        }
        guard code == 0 else { throw Failure(description: "bind \(host):\(port): \(errno)") }
    }
}
