import Foundation
import NIOCore
import NIOPosix
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A pipe whose ends close on exec.
struct Pipe: Sendable {
    var readEnd: Int32
    var writeEnd: Int32

    /// - Parameter processes: starts no process meanwhile, so that none inherits an end before it closes on exec: a reader
    ///   would wait for as long as that process lives.
    init(beside processes: ChildProcesses) throws(SpawnError) {
        var ends: [Int32] = [-1, -1]
        let code: Int32 = processes.whileNoneStarts {
            guard pipe(&ends) == 0 else { return errno }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            return 0
        }
        guard code == 0 else { throw SpawnError(program: "pipe", code: code) }
        (readEnd, writeEnd) = (ends[0], ends[1])
    }
}

/// Bytes from a pipe as they come, until its end; it owns and closes the descriptor.
func bytes(from descriptor: Int32) -> AsyncStream<[UInt8]> {
    // Unbounded: a container's output is written to its log as fast as it comes.
    AsyncStream { continuation in
        NIOPipeBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(PipeReader(continuation))
                }
            }
            .takingOwnershipOfDescriptor(input: descriptor)
            .whenComplete { result in
                switch result {
                case .success(let channel): continuation.onTermination = { _ in channel.close(promise: nil) }
                case .failure:
                    close(descriptor)
                    continuation.finish()
                }
            }
    }
}

private final class PipeReader: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let continuation: AsyncStream<[UInt8]>.Continuation

    init(_ continuation: AsyncStream<[UInt8]>.Continuation) { self.continuation = continuation }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        continuation.yield(Array(unwrapInboundIn(data).readableBytesView))
    }

    func channelInactive(context: ChannelHandlerContext) { continuation.finish() }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

/// What a finished command said.
struct CommandResult: Sendable {
    var exit: ProcessExit
    var output: String

    var isSuccess: Bool { exit == .exited(0) }
}

extension ChildProcesses {
    /// Runs a command to its end, both outputs together.
    /// - Parameters:
    ///   - input: its standard input, at most 64 KiB (a pipe's buffer).
    ///   - timeout: afterwards it is killed.
    func run(
        _ arguments: [String], input: String = "", environment: [String: String]? = nil,
        timeout: Duration = .seconds(30)
    ) async throws(SpawnError) -> CommandResult {
        let output = try Pipe(beside: self)
        var descriptors: [Int32: Int32] = [1: output.writeEnd, 2: output.writeEnd]
        var file: Int32 = -1
        if !input.isEmpty {
            file = try temporaryFile(input)
            descriptors[0] = file
        }
        defer { if file >= 0 { close(file) } }
        let child: ChildProcess
        do {
            child = try spawn(
                arguments, environment: environment ?? ProcessInfo.processInfo.environment, descriptors: descriptors)
        } catch {
            close(output.readEnd)
            close(output.writeEnd)
            throw error
        }
        close(output.writeEnd)
        let text = Task {
            var all: [UInt8] = []
            for await part in bytes(from: output.readEnd) where all.count < 1 << 20 { all += part }
            return String(decoding: all, as: UTF8.self)
        }
        var exit = await child.exit(atMost: timeout)
        if exit == nil {
            child.killGroup(SIGKILL)
            exit = await child.exit()
        }
        return CommandResult(exit: exit ?? .signalled(SIGKILL), output: await text.value)
    }

    /// Like `run`, but fails unless the command succeeds.
    @discardableResult
    func require(_ arguments: [String], input: String = "") async throws -> String {
        let result = try await run(arguments, input: input)
        guard result.isSuccess else {
            throw SandboxError(
                "\(arguments.joined(separator: " ")) failed (\(result.exit)): "
                    + result.output.trimmingCharacters(in: .whitespacesAndNewlines))
        }
        return result.output
    }

    /// An unnamed file with this text, to be read from its start.
    private func temporaryFile(_ text: String) throws(SpawnError) -> Int32 {
        var template = Array("/tmp/heddle-input-XXXXXX".utf8CString)
        let descriptor = whileNoneStarts {
            let descriptor = mkstemp(&template)
            if descriptor >= 0 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
            return descriptor
        }
        guard descriptor >= 0 else { throw SpawnError(program: "mkstemp", code: errno) }
        unlink(template)
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw SpawnError(program: "write", code: errno) }
            written += count
        }
        lseek(descriptor, 0, SEEK_SET)
        return descriptor
    }
}

/// What the sandbox could not do, in words for the person who runs it.
package struct SandboxError: Error, Sendable, CustomStringConvertible {
    package var description: String

    package init(_ description: String) { self.description = description }
}
