import Glibc

/// Times a case and reads what memory it took.
enum Measurement {
    /// What a case gives back: how many things it read, and whatever it wants to keep until memory is read.
    typealias Outcome = (count: Int, kept: Any, latencies: [Double])

    static func run(_ name: String, file: String, runs: Int, _ body: (String) throws -> Outcome) throws {
        var times: [Double] = []
        var last: Outcome?
        var peak = 0.0
        for _ in 0..<runs {
            last = nil
            let start = now()
            last = try body(file)
            times.append((now() - start) * 1000)
            // Of the first run: later ones would add what the ones before left behind.
            if peak == 0 { peak = memory("VmHWM:") }
        }
        trim()
        let retained = memory("VmRSS:")
        let middle = times.sorted()[times.count / 2]
        let bytes = Double(InputFile.size(file))
        var line =
            "\(name)\t\(fixed(middle))\t\(fixed(bytes / 1000 / middle))\t\(fixed(peak))\t\(fixed(retained))\t\(last?.count ?? 0)"
        if let latencies = last?.latencies.sorted(), !latencies.isEmpty {
            line +=
                "\tp50 \(fixed(latencies[latencies.count / 2])) us, p99 \(fixed(latencies[latencies.count * 99 / 100])) us"
        }
        print(line)
        withExtendedLifetime(last?.kept) {}
    }

    /// Gives free memory back to the kernel, so that what is left is what is kept.
    private static func trim() {
        typealias Trim = @convention(c) (Int) -> Int32
        guard let symbol = dlsym(nil, "malloc_trim") else { return }
        _ = unsafeBitCast(symbol, to: Trim.self)(0)
    }

    /// Seconds of processor time of this process: other work on the machine doesn't count.
    static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private static func fixed(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }

    /// Megabytes (10^6), from the kernel's account of this process.
    private static func memory(_ field: String) -> Double {
        let text = (try? InputFile.whole("/proc/self/status")).map { String(decoding: $0, as: UTF8.self) } ?? ""
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix(field) }) else { return 0 }
        return Double(line.split(whereSeparator: { $0 == " " || $0 == "\t" })[1]).map { $0 * 1024 / 1e6 } ?? 0
    }
}

enum InputFile {
    static func size(_ path: String) -> Int {
        var info = stat()
        return stat(path, &info) == 0 ? Int(info.st_size) : 0
    }

    static func whole(_ path: String) throws -> [UInt8] {
        var bytes: [UInt8] = []
        try chunks(path, size: 1 << 20) { bytes.append(contentsOf: $0) }
        return bytes
    }

    /// Reads a file as a response body arrives: piece by piece.
    static func chunks(_ path: String, size: Int, _ body: (UnsafeBufferPointer<UInt8>) throws -> Void) throws {
        let file = open(path, O_RDONLY)
        guard file >= 0 else { throw FileError(name: path) }
        defer { close(file) }
        let buffer = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: size)
        defer { buffer.deallocate() }
        while true {
            let count = read(file, buffer.baseAddress, size)
            guard count > 0 else { return }
            try body(UnsafeBufferPointer(rebasing: buffer[..<count]))
        }
    }
}
