import Testing
@testable import MeshPlan
