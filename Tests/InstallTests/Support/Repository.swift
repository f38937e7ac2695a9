import Foundation

/// The folder of the package.
let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

/// A folder of this target.
let here = repository.appendingPathComponent("Tests/InstallTests", isDirectory: true)
