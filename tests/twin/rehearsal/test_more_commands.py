"""Commands that tie images to the stage, of the Navigator, text files, parts of images, and single settings."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from serialem_cases import PIXEL_A, SIDE, UM, Rig, dotted, make

from eucentric.io.navigator import NavItem, read_navigator
from eucentric.twin.serialem.answers import Answer
from eucentric.twin.serialem.errors import NotSimulatedError, SEMerror
from eucentric.twin.settings import Effects

VIEW_A = 3 * PIXEL_A
"""Pixel of a View image."""


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return make(tmp_path, axis_offset_um=0.7)


def pixel_of(rig: Rig, image: Any, place_zyx_A: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the pixel (X, Y from the top) at which an image shows a place of the specimen, by the twin's truth."""
    buffer = rig.bench.buffers[image]
    assert buffer.truth is not None
    y_A, x_A = rig.twin.seen_yx_A(buffer.truth.exposure, buffer.truth.exposure.site, place_zyx_A)
    right, up = rig.bench.geometry.specimen2camera(buffer.pixel_A) @ (y_A / UM, -x_A / UM)
    return np.array([buffer.shown_xy[0] / 2 + right, buffer.shown_xy[1] / 2 - up])


class TestPlacesInImages:
    @pytest.mark.parametrize("tilt_deg", [0.0, 25.0, -40.0])
    @pytest.mark.parametrize("pixel", [(SIDE / 2, SIDE / 2), (10.0, 52.0), (60.0, 3.0)])
    def test_a_point_added_in_an_image_comes_to_the_centre(
        self, rig: Rig, tilt_deg: float, pixel: tuple[float, float]
    ) -> None:
        rig.sem.TiltTo(tilt_deg)
        rig.sem.MoveStageTo(1.5, -2.0)
        rig.sem.ImageShiftByMicrons(0.4, -0.3)
        rig.sem.View()
        index = rig.sem.AddImagePosAsNavPoint("A", *pixel)
        rig.sem.MoveToNavItem(int(index))
        # Record comes into A, and the View of before is B.
        assert pixel_of(rig, "A", rig.centre_A()) == pytest.approx([SIDE / 2] * 2, abs=1e-6)
        assert pixel_of(rig, "B", rig.twin.centre_zyx_A(rig.last)) == pytest.approx(pixel, abs=0.02)

    def test_pixels_and_places_are_each_others_inverse(self, rig: Rig) -> None:
        rig.sem.TiltTo(20)
        rig.sem.ImageShiftByMicrons(0.5, 0.2)
        rig.sem.View()
        for actual in (0, 1):
            x, y, *piece = rig.sem.BufImagePosToStagePos("A", actual, 12.5, 40.0)
            assert piece == [-1, -1, -1]
            assert rig.sem.StagePosToBufImagePos("A", actual, x, y) == pytest.approx((12.5, 40.0))
            forth = rig.sem.StageToBufImageMatrix("A", actual)
            assert np.reshape(forth[:4], (2, 2)) @ (x, y) + forth[4:] == pytest.approx((12.5, 40.0))
            back = rig.sem.BufImageToStageMatrix("A", actual)
            assert np.reshape(back[:4], (2, 2)) @ (12.5, 40.0) + back[4:] == pytest.approx((x, y))

    def test_an_actual_place_is_for_the_image_shift_of_now(self, rig: Rig) -> None:
        rig.sem.ImageShiftByMicrons(0.5, 0.2)
        rig.sem.View()
        x, y, *_ = rig.sem.BufImagePosToStagePos("A", 1, SIDE / 2, SIDE / 2)
        assert (x, y) == pytest.approx(rig.sem.ReportStageXYZ()[:2])
        adjusted = rig.sem.AdjustStagePosForNav(x, y, *rig.sem.ReportImageShift()[:2])
        assert adjusted == pytest.approx(rig.sem.BufImagePosToStagePos("A", 0, SIDE / 2, SIDE / 2)[:2])

    def test_a_tilt_can_be_named_for_an_adjusted_place(self, rig: Rig) -> None:
        flat, steep = (np.array(rig.sem.AdjustStagePosForNav(0, 0, 1.0, 1.0, -1, -1, tilt)) for tilt in (0.0, 60.0))
        seen = rig.bench.geometry.stage2specimen @ np.stack([flat, steep], axis=1)
        assert seen[0, 0] == pytest.approx(seen[0, 1])
        assert seen[1, 1] == pytest.approx(2 * seen[1, 0])  # cos 60°

    def test_a_part_keeps_the_places_of_its_pixels(self, rig: Rig) -> None:
        rig.sem.TiltTo(15)
        rig.sem.View()
        before = rig.sem.BufImagePosToStagePos("A", 0, 20.0, 24.0)
        rig.sem.CropImage("A", 8, 39, 6, 45)
        assert rig.sem.ImageProperties("A")[:2] == (32, 40)
        assert rig.sem.BufImagePosToStagePos("A", 0, 12.0, 18.0) == pytest.approx(before)
        rig.sem.ReduceImage("A", 2)
        assert rig.sem.ImageProperties("A")[:5] == pytest.approx((16, 20, 2, 1.0, VIEW_A * 2 / 10))
        assert rig.sem.BufImagePosToStagePos("A", 0, 6.0, 9.0) == pytest.approx(before)

    def test_a_part_beside_the_middle_aligns_to_nothing_without_pixels(self, rig: Rig) -> None:
        rig.sem.View()
        rig.sem.CropImage("A", 0, 19, 0, 19)
        with pytest.raises(SEMerror, match="without pixels"):
            rig.sem.AlignTo("B")

    def test_nobody_knows_where_an_image_of_a_foreign_file_lies(self, rig: Rig) -> None:
        rig.sem.View()
        rig.bench.buffers["A"] = replace(rig.bench.buffers["A"], readback=None)
        with pytest.raises(SEMerror, match="no map"):
            rig.sem.AddImagePosAsNavPoint("A", 1, 1)
        with pytest.raises(SEMerror, match="no map"):
            rig.sem.NewMap()
        assert rig.sem.GetNavGroupImageCoords(1, "A", "x", "y") == -1
        rig.sem.AddStagePosAsNavPoint(0, 0, 0)
        assert rig.sem.ReportItemImageCoords(1, "A") == (0, 0, -1)


class TestMaps:
    def test_a_map_is_saved_noted_and_found_again(self, rig: Rig) -> None:
        rig.sem.MoveStageTo(3.0, 1.0, 0.5)
        rig.sem.OpenNewFile("map.mrc")
        rig.sem.View()
        index = int(rig.sem.NewMap(0, "mine"))
        rig.sem.CloseFile()
        assert rig.sem.ReportOtherItem(index) == pytest.approx((1, 3.0, 1.0, 0.5, 2))
        assert rig.sem.NavIndexWithNote("mine") == index
        rig.sem.SaveNavigator()
        (item,) = read_navigator(Path(rig.sem.ReportNavFile()))
        assert Path(item.map_file).name == "map.mrc"
        assert item.map_section == 0
        assert item.extra["MapWidthHeight"] == f"{SIDE} {SIDE}"
        x, y = ([float(value) for value in item.extra[key].split()] for key in ("PtsX", "PtsY"))
        assert len(x) == len(y) == int(item.extra["NumPts"]) == 5
        sides = np.hypot(np.diff(x), np.diff(y))
        assert sides == pytest.approx(SIDE * VIEW_A / UM, rel=1e-4)
        assert (np.mean(x[:4]), np.mean(y[:4])) == pytest.approx((3.0, 1.0), abs=1e-5)

    @pytest.mark.parametrize(
        ("given", "note"),
        [((), "Sec 0 - map.mrc"), ((1, "and"), "Sec 0 - map.mrc and"), ((-1, "and"), "and Sec 0 - map.mrc")],
    )
    def test_the_usual_note(self, rig: Rig, given: tuple[Any, ...], note: str) -> None:
        rig.sem.OpenNewFile("map.mrc")
        rig.sem.View()
        rig.sem.Save()
        rig.sem.ReportOtherItem(int(rig.sem.NewMap(*given)))
        assert rig.sem.GetVariable("navNote") == note
        assert rig.sem.ReportFileZsize() == 1  # saved once: the map is the section that was there

    def test_an_image_that_cannot_be_saved_is_no_map(self, rig: Rig) -> None:
        rig.sem.View()
        with pytest.raises(SEMerror, match="no image file open"):
            rig.sem.NewMap()
        assert rig.sem.ReportNumTableItems() == 0

    def test_realigning_to_a_new_map_finds_its_place(self, rig: Rig) -> None:
        rig.sem.ImageShiftByMicrons(0.3, 0.2)
        rig.sem.OpenNewFile("map.mrc")
        rig.sem.View()
        place = rig.twin.centre_zyx_A(rig.last)
        index = int(rig.sem.NewMap())
        rig.sem.MoveStage(4, -4)
        rig.sem.RealignToOtherItem(index, 0)
        rig.sem.LoadOtherMap(index, "P")
        assert rig.sem.ReportCurrentBuffer() == ("P", 1)
        assert rig.centre_A() == pytest.approx(place, abs=100)  # alignments are told but for 15 Å along each axis

    def test_points_know_the_map_that_they_were_drawn_on(self, rig: Rig) -> None:
        rig.sem.AddStagePosAsNavPoint(0, 0, 0)
        rig.sem.OpenNewFile("map.mrc")
        rig.sem.View()
        on = rig.sem.NewMap()
        rig.sem.Record()
        rig.sem.LoadOtherMap(int(on), "C")
        point = int(rig.sem.AddImagePosAsNavPoint("C", 20, 30))
        assert rig.sem.NavIndexItemDrawnOn(point) == on == 2
        assert rig.sem.NavIndexItemDrawnOn(1) == 0
        assert rig.sem.ReportItemImageCoords(point, "C") == pytest.approx((20, 30, 1))
        assert rig.sem.GetMapIndexes("maps") == 1
        assert rig.sem.GetVariable("maps") == "2"
        rig.sem.MoveStage(5, 5)
        rig.sem.RealignToMapDrawnOn(point, 0)
        assert pixel_of(rig, "C", rig.centre_A()) == pytest.approx((20, 30), abs=2)

    def test_a_map_that_a_script_wrote_has_the_place_of_its_item(self, tmp_path: Path) -> None:
        rig = make(tmp_path, pixels=True, sample=dotted())
        rig.sem.OpenNewFile("map.mrc")
        rig.sem.View()
        index = int(rig.sem.NewMap())
        item = rig.serialem.navigator.items[-1]
        forgotten = rig.serialem.files
        forgotten._kept.clear()
        (tmp_path / "mdoc" / "map.mrc.mdoc").unlink()
        rig.serialem.navigator.items[-1] = item.replace(stage_xyz_um=(2.0, 1.0, 0.0))
        rig.sem.LoadOtherMap(index, "P")
        assert rig.sem.ImageProperties("P")[:5] == pytest.approx((SIDE, SIDE, 1, 1.0, VIEW_A / 10))
        assert rig.sem.BufImagePosToStagePos("P", 0, SIDE / 2, SIDE / 2)[:2] == pytest.approx((2.0, 1.0))
        assert rig.bench.buffers["P"].camera_set == "V"


class TestGroupsAndPolygons:
    def test_a_group_is_told_in_the_order_of_the_table(self, rig: Rig) -> None:
        group = int(rig.sem.GetUniqueNavID())
        places = [(0.05, 0.08, 0.1), (-0.1, 0.05, 0.2), (30.0, 0.0, 0.3)]
        for place in places:
            rig.sem.AddStagePosAsNavPoint(*place, group)
        rig.sem.AddStagePosAsNavPoint(9, 9, 9)
        assert rig.sem.GetNavGroupStageCoords(group, "x", "y", "z") == 3
        told = np.array([[float(one) for one in rig.sem.GetVariable(name).split("\n")] for name in "xyz"]).T
        assert told == pytest.approx(np.array(places))
        rig.sem.View()
        assert rig.sem.GetNavGroupImageCoords(group, "A", "px", "py") == 2  # the third lies outside
        x = [float(one) for one in rig.sem.GetVariable("px").split("\n")]
        assert rig.sem.ReportItemImageCoords(2, "A")[0] == pytest.approx(x[1])
        assert rig.sem.ReportItemImageCoords(3, "A")[2] == 0
        rig.sem.SetItemAcquire(2)
        assert rig.sem.ReportGroupStatus() == (-1, group, 3, 1)

    def test_items_enter_and_leave_groups(self, rig: Rig) -> None:
        rig.sem.AddStagePosAsNavPoint(0, 0, 0)
        assert rig.sem.ReportGroupStatus() == (-1, 0, 0, 0)
        rig.sem.ChangeItemGroupID(1, 7)
        assert rig.sem.ReportGroupStatus()[1:3] == (7, 1)
        rig.sem.MoveStageTo(0, 0, 2.0)
        rig.sem.UpdateGroupZ()
        assert rig.sem.ReportNavItem()[3] == pytest.approx(2.0)
        rig.sem.ChangeItemGroupID(1, 0)
        with pytest.raises(SEMerror, match="no group"):
            rig.sem.UpdateGroupZ()
        assert rig.sem.GetNavGroupStageCoords(0, "x", "y") == 0

    def test_polygons_are_closed_and_round_their_middle(self, rig: Rig) -> None:
        rig.sem.SetVariable("x", "0\n2\n2\n0")
        rig.sem.SetVariable("y", "0\n0\n1\n1")
        index = int(rig.sem.AddStagePointsAsPolygon("x", "y", 0.5))
        assert rig.sem.ReportOtherItem(index) == pytest.approx((1, 1.0, 0.5, 0.5, 1))
        rig.sem.GetItemPointArray(index, "px", "py")
        assert [float(one) for one in rig.sem.GetVariable("px").split("\n")] == [0, 2, 2, 0, 0]
        circle = int(rig.sem.AddCirclePolygon(2.0, 1.0, -1.0))
        rig.sem.GetItemPointArray(circle, "px", "py")
        x, y = (np.array(rig.sem.GetVariable(name).split("\n"), float) for name in ("px", "py"))
        assert np.hypot(x - 1, y + 1) == pytest.approx(2.0)
        rig.sem.View()
        rig.sem.SetVariable("x", "10\n50\n30")
        rig.sem.SetVariable("y", "10\n10\n40")
        index = int(rig.sem.AddImagePointsAsPolygon("A", "x", "y"))
        assert rig.sem.ReportItemImageCoords(index, "A")[:2] == pytest.approx((30, 20))
        rig.sem.SetVariable("y", "1\n2")
        with pytest.raises(SEMerror, match="as many"):
            rig.sem.AddStagePointsAsPolygon("x", "y", 0)

    def test_shifted_items_take_their_corners_along(self, rig: Rig) -> None:
        rig.sem.SetVariable("x", "0\n2\n1")
        rig.sem.SetVariable("y", "0\n0\n3")
        rig.sem.AddStagePointsAsPolygon("x", "y", 0)
        rig.sem.SetNavRegistration(2)
        rig.sem.AddStagePosAsNavPoint(5, 5, 0)
        rig.sem.ShiftItemsByMicrons(1, -1)
        assert rig.sem.ReportOtherItem(2)[1:3] == (6, 4)
        assert rig.sem.ReportOtherItem(1)[1:3] == (1, 1)
        rig.sem.ShiftItemsByMicrons(10, 0, 1)
        rig.sem.GetItemPointArray(1, "px", "py")
        assert [float(one) for one in rig.sem.GetVariable("px").split("\n")] == [10, 12, 11, 10]
        with pytest.raises(SEMerror, match="farther"):
            rig.sem.ShiftItemsByMicrons(100, 0)


class TestTable:
    def test_numbers_are_never_given_twice(self, rig: Rig) -> None:
        given = [rig.sem.GetUniqueNavID() for _ in range(20)]
        assert len(set(given)) == 20

    def test_what_is_said_of_an_item_stands_in_its_file(self, rig: Rig) -> None:
        rig.sem.AddStagePosAsNavPoint(1, 2, 3)
        rig.sem.ChangeItemDraw(1, 0)
        rig.sem.SetNavItemUserValue(1, 3, "a b")
        rig.sem.ChangeItemRegistration(1, 4)
        rig.sem.SaveNavigator()
        (item,) = read_navigator(Path(rig.sem.ReportNavFile()))
        assert item.extra["Draw"] == "0"
        assert item.registration == 4
        rig.sem.ReadNavFile(rig.sem.ReportNavFile())
        assert rig.sem.ReportItemUserValue(1, 3) == "a b"
        assert rig.sem.ReportItemUserValue(1, 1) == "none"
        rig.sem.ChangeItemDraw(1)
        rig.sem.SetNavItemUserValue(1, 3)
        assert set(rig.serialem.navigator.items[0].extra) == {"MapID"}
        with pytest.raises(SEMerror, match="1 to 8"):
            rig.sem.SetNavItemUserValue(1, 9, "x")

    def test_the_nearest_item_of_a_name(self, rig: Rig) -> None:
        for at, (x, note) in enumerate([(0, "hole 1"), (4, "hole 2"), (5, "other")], 1):
            rig.sem.AddStagePosAsNavPoint(x, 0, 0)
            rig.sem.ChangeItemNote(at, note)
        assert rig.sem.FindItemWithLabelOrNote(1, "hole", 3.9, 0) == (2, 4, 0)
        assert rig.sem.FindItemWithLabelOrNote(1, "hole") == (1, 0, 0)
        assert rig.sem.FindItemWithLabelOrNote(0, "hole") == (0, 0, 0)
        rig.sem.SetItemAcquire(2)
        assert rig.sem.ReportNumNavAcquire() == (1, 0)

    def test_the_navigator_is_closed_and_opened(self, tmp_path: Path) -> None:
        rig = make(tmp_path, answers=(Answer(match="CloseNavigator", answer="yes"),))
        assert rig.sem.ReportIfNavOpen() == 2
        rig.sem.AddStagePosAsNavPoint(1, 2, 3)
        with pytest.raises(SEMerror, match="open already"):
            rig.sem.OpenNavigator("other.nav")
        rig.sem.CloseNavigator()
        assert rig.bench.asked[0].answer == "yes"
        assert rig.sem.ReportIfNavOpen() == 0
        for name in ("ReportNavItem", "ReportNavFile", "GetMapIndexes"):
            if name != "GetMapIndexes":
                with pytest.raises(SEMerror, match="not open"):
                    getattr(rig.sem, name)()
        with pytest.raises(SEMerror, match="not open"):
            rig.sem.AddStagePosAsNavPoint(1, 2, 3)
        rig.sem.OpenNavigator("other.nav")
        root, ext, folder, stem = rig.sem.ReportNavFile(1)
        assert (Path(root).name, ext, stem) == ("other", ".nav", "other")
        assert root == f"{folder}{stem}"
        rig.sem.ReadNavFile("targets.nav")
        assert rig.sem.ReportNavItem()[1:4] == (1, 2, 3)
        rig.sem.CloseNavigator()  # nothing to save: no dialog
        assert len(rig.bench.asked) == 1

    def test_nothing_acquires_at_items(self, rig: Rig) -> None:
        assert rig.sem.ReportIfNavAcquiring() == (0, 0)
        rig.sem.SkipAcquiringNavItem()
        assert "no effect" in rig.bench.log.path.read_text() if rig.bench.log.path.exists() else True
        for name in ("EndAcquireAtItems", "SkipAcquiringGroup", "ReportNextNavAcqItem"):
            with pytest.raises(SEMerror, match="not acquiring"):
                getattr(rig.sem, name)()

    def test_items_of_before_keep_their_place_in_the_table(self, tmp_path: Path) -> None:
        rig = make(tmp_path, items=(NavItem(label="7", kind="point", stage_xyz_um=(0, 0, 0)),))
        assert rig.sem.AddStagePosAsNavPoint(1, 0, 0) == 2
        rig.sem.ReportOtherItem(2)
        assert rig.sem.GetVariable("navLabel") == "8"


class TestPixels:
    @pytest.fixture
    def seen(self, tmp_path: Path) -> Rig:
        rig = make(tmp_path, pixels=True, sample=dotted())
        rig.sem.View()
        return rig

    def test_parts_are_counted_from_the_top(self, seen: Rig) -> None:
        pixels = np.asarray(seen.sem.bufferImage("A"), float)
        assert seen.sem.SubareaMean(3, 10, 5, 7) == pytest.approx(pixels[5:8, 3:11].mean())
        assert seen.sem.CircularSubareaMean(20.5, 30.5, 0.1) == pixels[30, 20]
        seen.sem.CropImage("A", 4, 24, 6, 20)
        part = np.asarray(seen.sem.bufferImage("A"), float)
        assert part == pytest.approx(pixels[6:21, 4:24])  # 21 columns become 20: SerialEM's are even
        with pytest.raises(SEMerror, match="no part"):
            seen.sem.SubareaMean(0, 20, 0, 5)

    def test_arithmetic(self, seen: Rig) -> None:
        one = np.asarray(seen.sem.bufferImage("A"), float)
        seen.sem.Copy("A", "K")
        seen.sem.ScaleImage("K", 2, 5, "L")
        assert np.asarray(seen.sem.bufferImage("L")) == pytest.approx(2 * one + 5)
        seen.sem.SubtractImages("L", "K", "M")
        assert np.asarray(seen.sem.bufferImage("M")) == pytest.approx(one + 5)
        seen.sem.AddImages("K", "K")
        assert np.asarray(seen.sem.bufferImage("A")) == pytest.approx(2 * one)
        seen.sem.MultiplyImages("K", "K", "N")
        seen.sem.DivideImages("N", "K", "N")
        assert np.asarray(seen.sem.bufferImage("N")) == pytest.approx(one, rel=1e-5)
        assert seen.sem.ReportMeanCounts("N") == pytest.approx(one.mean(), rel=1e-5)
        seen.sem.CropCenterToSize("K", 32, 32)
        with pytest.raises(SEMerror, match="different size"):
            seen.sem.AddImages("A", "K")

    def test_a_smaller_image_has_the_mean_and_no_aliases(self, seen: Rig) -> None:
        mean = seen.sem.ReportMeanCounts("A")
        seen.sem.ReduceImage("A", 4)
        assert seen.sem.ImageProperties("A")[:2] == (SIDE / 4, SIDE / 4)
        assert seen.sem.ReportMeanCounts("A") == pytest.approx(mean, rel=1e-3)
        stripes = np.tile(np.array([100, 0], np.float32), (SIDE, SIDE // 2))
        seen.bench.buffers["K"] = seen.bench.buffers["B"].with_pixels(stripes)
        seen.sem.ReduceImage("K", 2)
        assert np.ptp(np.asarray(seen.sem.bufferImage("A"))[2:-2, 2:-2]) < 10  # of 100
        with pytest.raises(SEMerror, match="more than 1"):
            seen.sem.ReduceImage("A", 1)

    def test_a_picture_of_what_is_shown(self, seen: Rig) -> None:
        seen.sem.Copy("A", "K")
        seen.sem.Record()
        seen.sem.Show("K")
        assert seen.sem.ReportCurrentBuffer() == ("K", 1)
        seen.sem.SnapshotToFile(0, 0, 0, "TIF", "ZIP", "view.tif")
        with Image.open(seen.folder / "mdoc" / "view.tif") as picture:
            grey = np.asarray(picture, float)
        pixels = np.asarray(seen.sem.bufferImage("K"), float)
        assert grey.shape == (SIDE, SIDE)
        assert np.corrcoef(grey.ravel(), pixels.ravel())[0, 1] > 0.9
        seen.sem.SnapshotToFile(0, 0, 0, "JPG", "JPG", "view.jpg")
        assert (seen.folder / "mdoc" / "view.jpg").read_bytes()[:2] == b"\xff\xd8"
        with pytest.raises(SEMerror, match="no compression"):
            seen.sem.SnapshotToFile(0, 0, 0, "TIF", "GZIP", "view.tif")
        with pytest.raises(NotSimulatedError):
            seen.sem.SnapshotToFile(2, 0, 0, "TIF", "ZIP", "view.tif")

    def test_an_image_in_a_file_of_its_own(self, seen: Rig) -> None:
        seen.sem.OpenNewFile("stack.mrc")
        assert seen.sem.ReportNumOpenFiles() == 1
        seen.sem.SaveToOtherFile("A", "MRC", "NONE", "other.mrc")
        assert seen.sem.ReportNumOpenFiles() == seen.sem.ReportFileNumber() == 1
        assert seen.sem.IsImageFileOpen("stack.mrc") == 1
        assert seen.sem.IsImageFileOpen("other.mrc") == 0
        assert Path(seen.sem.ReportOpenImageFile(1)).name == "stack.mrc"
        before = np.asarray(seen.sem.bufferImage("A"))
        seen.sem.ReadOtherFile(0, "P", "other.mrc")
        assert np.array_equal(np.asarray(seen.sem.bufferImage("P")), before)
        assert seen.sem.ImageLowDoseSet("P") == ("View", 1)
        with pytest.raises(NotSimulatedError, match="MRC"):
            seen.sem.SaveToOtherFile("A", "TIF", "NONE", "other.tif")

    def test_an_image_without_pixels_has_the_size_that_is_told(self, rig: Rig) -> None:
        rig.sem.View()
        assert np.asarray(rig.sem.bufferImage("A")).shape == (SIDE, SIDE)
        assert rig.sem.SubareaMean(0, 63, 0, 63) == pytest.approx(rig.sem.ReportMeanCounts("A"), abs=1)


class TestTexts:
    def test_lines_are_written_and_read_again(self, rig: Rig) -> None:
        assert rig.sem.OpenTextFile("log", "T", 0, "notes.txt") == 0
        rig.sem.OpenTextFile("log", "W", 0, "notes.txt")
        for line in ("# a comment", "", "1 2.5 three # four"):
            rig.sem.WriteLineToFile("log", line)
        assert rig.sem.IsTextFileOpen("log") == rig.sem.IsTextFileOpen("-", "notes.txt") == 1
        with pytest.raises(SEMerror, match="writing only"):
            rig.sem.ReadLineToArray("log", "v")
        rig.sem.CloseTextFile("log")
        assert (rig.folder / "mdoc" / "notes.txt").read_text() == "# a comment\n\n1 2.5 three # four\n"
        rig.sem.OpenTextFile("in", "R", 0, "notes.txt")
        assert rig.sem.ReadLineToArray("in", "v") == 1
        assert rig.sem.GetVariable("v") == "1\n2.5\nthree"
        assert rig.sem.ReadLineToArray("in", "v") == 0
        with (rig.folder / "mdoc" / "notes.txt").open("a") as file:
            file.write("late\n")
        assert rig.sem.ReadLineToString("in", "v") == 1  # as from a program that still writes
        assert rig.sem.GetVariable("v") == "late"
        rig.sem.CloseTextFile("in")
        rig.sem.ReadStringsFromFile("v", "notes.txt")
        assert rig.sem.GetVariable("v").split("\n")[2] == "1 2.5 three # four"
        rig.sem.ReadTextFile("v", "notes.txt")
        assert rig.sem.GetVariable("v").split("\n")[-2:] == ["four", "late"]

    def test_files_are_overwritten_as_asked_only(self, rig: Rig) -> None:
        path = rig.folder / "mdoc" / "notes.txt"
        path.write_text("old\n")
        with pytest.raises(SEMerror, match="AllowFileOverwrite"):
            rig.sem.OpenTextFile("a", "W", 0, "notes.txt")
        rig.sem.OpenTextFile("a", "A", 0, "notes.txt")
        rig.sem.WriteLineToFile("a", "new")
        with pytest.raises(SEMerror, match="already"):
            rig.sem.OpenTextFile("b", "R", 0, "notes.txt")
        rig.sem.CloseTextFile("a")
        assert path.read_text() == "old\nnew\n"
        rig.sem.AllowFileOverwrite(1)
        rig.sem.OpenTextFile("a", "W", 0, "notes.txt")
        assert path.read_text() == ""
        for mode, message in (("R", "not exist"), ("A", "not exist"), ("X", "no mode")):
            with pytest.raises(SEMerror, match=message):
                rig.sem.OpenTextFile("c", mode, 0, "none.txt")
        with pytest.raises(SEMerror, match="no text file"):
            rig.sem.CloseTextFile("c")

    def test_files_of_others_are_left(self, rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> None:
        other = tmp_path_factory.mktemp("others") / "precious.txt"
        other.write_text("kept")
        for name, given in (("RemoveFile", (str(other),)), ("OpenTextFile", ("a", "O", 0, str(other)))):
            with pytest.raises(NotSimulatedError, match="outside"):
                getattr(rig.sem, name)(*given)
        assert other.read_text() == "kept"
        own = rig.folder / "mdoc" / "own.txt"
        own.write_text("")
        assert rig.sem.DoesFileExist("own.txt") == rig.sem.DoesFileExist(str(other)) == 1
        rig.sem.RemoveFile("own.txt")
        rig.sem.RemoveFile("own.txt")  # a warning in the log only
        assert rig.sem.DoesFileExist("own.txt") == 0

    def test_folders(self, rig: Rig) -> None:
        assert rig.sem.IsDirectoryWritable(".")[0] == 1
        assert rig.sem.IsDirectoryWritable("none")[0] == 0
        assert rig.sem.ReportFreeDiskSpace(".") > 0
        before = Path(rig.sem.ReportDirectory())
        rig.sem.MakeDateTimeDir()
        assert Path(rig.sem.ReportDirectory()).parent == before


class TestFocusStageAndTime:
    def test_the_readout_of_focus_is_reset_and_the_lens_is_not(self, rig: Rig) -> None:
        rig.sem.SetDefocus(-3.0)
        lens = rig.twin.defocus_A()
        rig.sem.ResetDefocus()
        assert rig.sem.ReportDefocus() == pytest.approx(0)
        assert rig.twin.defocus_A() == lens
        absolute = rig.sem.ReportAbsoluteFocus()
        rig.sem.SetDefocus(-1.0)
        assert rig.twin.defocus_A() == pytest.approx(lens + 1.0 * UM)
        rig.sem.SetAbsoluteFocus(absolute)
        assert rig.twin.defocus_A() == pytest.approx(lens)
        rig.sem.SaveFocus()
        rig.sem.ChangeFocus(5)
        rig.sem.RestoreFocus()
        assert rig.twin.defocus_A() == pytest.approx(lens)
        with pytest.raises(SEMerror, match="no focus"):
            rig.sem.RestoreFocus()

    def test_autofocus_reaches_a_target_that_was_changed(self, rig: Rig) -> None:
        rig.sem.SetTargetDefocus(-4)
        rig.sem.IncTargetDefocus(1.5)
        rig.sem.ResetDefocus()
        rig.sem.AutoFocus()
        rig.sem.Record()
        assert -rig.last.defocus_A / UM == pytest.approx(-2.5, abs=0.2)

    @pytest.mark.parametrize("tilt_deg", [0.0, 50.0])
    def test_image_and_stage_shift_alike(self, rig: Rig, tilt_deg: float) -> None:
        rig.sem.TiltTo(tilt_deg)
        rig.sem.ImageShiftByStageDiff(0.8, -0.5)
        place = rig.centre_A()
        rig.sem.SetImageShift(0, 0)
        rig.sem.MoveStage(0.8, -0.5)
        assert rig.centre_A() == pytest.approx(place, abs=1)
        rig.sem.MoveStageTo(0, 0)
        camera = np.reshape(rig.sem.SpecimenToCameraMatrix(0), (2, 2))
        rig.sem.ImageShiftByPixels(10, 5)
        place = rig.centre_A()
        rig.sem.SetImageShift(0, 0)
        rig.sem.StageShiftByPixels(10, 5)
        assert rig.centre_A() == pytest.approx(place, abs=1)
        assert np.linalg.det(camera) > 0

    def test_the_increment(self, rig: Rig) -> None:
        rig.sem.SetTiltIncrement(2)
        rig.sem.TiltUp()
        assert rig.sem.ReportTiltAngle() == pytest.approx(2)
        with pytest.raises(NotSimulatedError):
            rig.sem.SetTiltIncrement(2, 1)

    def test_clocks_are_the_microscopes(self, rig: Rig) -> None:
        tick, minute = rig.sem.ReportTickTime(), rig.sem.ReportMinuteTime()
        assert rig.sem.ReportCustomInterval("filled") == 40000
        rig.sem.SetCustomTime("filled")
        rig.sem.Delay(30, "min")
        assert rig.sem.ElapsedTickTime(tick) == pytest.approx(1800)
        assert rig.sem.ReportMinuteTime() - minute == 30
        assert rig.sem.ReportCustomInterval("Filled") == 30
        date, time = rig.sem.ReportDateTime()
        assert f"{date:.0f}{time:04.0f}" == f"{rig.bench.scope.now():%Y%m%d%H%M}"


class TestOneSettingOnly:
    @pytest.mark.parametrize(
        ("name", "same", "other"),
        [
            ("SetSpotSize", (7,), (6,)),
            ("SetPercentC2", (45.0,), (50.0,)),
            ("SetMagIndex", (19,), (18,)),
            ("SetProbeMode", ("micro",), ("0",)),
            ("SetSlitWidth", (20.0,), (10.0,)),
            ("SetEnergyLoss", (0.0,), (-10.0,)),
            ("SelectCamera", (1,), (2,)),
            ("SetK2ReadMode", ("R", 1), ("R", 0)),
            ("SetProcessing", ("R", 2), ("R", 0)),
            ("SetContinuous", ("T", 0), ("T", 1)),
            ("SetLowDoseShiftOffset", (0, 0.0, 0.0), (0, 1.0, 0.0)),
        ],
    )
    def test_another_is_refused_and_never_passed_over(
        self, rig: Rig, name: str, same: tuple[Any, ...], other: tuple[Any, ...]
    ) -> None:
        getattr(rig.sem, name)(*same)
        with pytest.raises(NotSimulatedError):
            getattr(rig.sem, name)(*other)
        assert rig.bench.refused[-1].not_simulated

    def test_the_beam_that_is_told_is_the_twins(self, rig: Rig) -> None:
        diameter_um = rig.sem.ReportIlluminatedArea() * 100
        assert diameter_um == pytest.approx(2 * rig.twin.beam_radius_A / UM)
        rig.sem.SetIlluminatedArea(rig.sem.ReportIlluminatedArea())
        with pytest.raises(NotSimulatedError):
            rig.sem.SetIlluminatedArea(rig.sem.ReportIlluminatedArea() * 2)

    def test_the_slit_is_in_where_the_twin_filters(self, tmp_path: Path) -> None:
        for at, effects in enumerate(("none", "none,no-energy_filter")):
            (tmp_path / str(at)).mkdir()
            rig = make(tmp_path / str(at))
            rig.twin.effects = Effects.parse(effects)
            assert rig.sem.ReportEnergyFilter() == (20, 0, 1 - at)
            rig.sem.SetSlitIn(1 - at)
            with pytest.raises(NotSimulatedError):
                rig.sem.SetSlitIn(at)

    def test_each_magnification_has_its_matrix(self, rig: Rig) -> None:
        assert rig.sem.ReportMagIndex() == (19, 0)
        record = np.reshape(rig.sem.SpecimenToCameraMatrix(19), (2, 2))
        assert record == pytest.approx(np.reshape(rig.sem.SpecimenToCameraMatrix(0), (2, 2)))
        assert np.reshape(rig.sem.SpecimenToCameraMatrix(18), (2, 2)) == pytest.approx(record / 3)
        rig.sem.GoToLowDoseArea("V")
        assert rig.sem.ReportMagIndex() == (18, 0)
        with pytest.raises(NotSimulatedError, match="17, 18, 19"):
            rig.sem.CameraToStageMatrix(5)

    def test_part_of_the_camera(self, rig: Rig) -> None:
        rig.sem.SetCameraArea("R", "H")
        assert rig.sem.ReportCameraSetArea("R") == (32, 32, 16, 48, 16, 48)
        rig.sem.KeepCameraSetChanges("R")
        rig.sem.RestoreCameraSet()
        assert rig.sem.ReportCameraSetArea("R")[:2] == (32, 32)

    def test_there_are_no_states_loaders_or_frames(self, rig: Rig) -> None:
        assert rig.sem.GoToImagingState("Atlas") == rig.sem.ImagingStateProperties("Atlas") == 1
        rig.sem.RestoreState()
        with pytest.raises(SEMerror, match="no saved state"):
            rig.sem.RestoreState(1)
        assert rig.sem.ReportSlotStatus(1) == -1
        assert rig.sem.ReportNumFramesSaved() == 0
        rig.sem.Record()
        assert rig.sem.ReportNumFramesSaved() == 4
        assert rig.sem.ReportCameraName(0) != rig.sem.ReportCameraName(2) == "NOCAM"
        assert rig.sem.ReportHighVoltage() == 300
