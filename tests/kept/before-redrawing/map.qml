<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22.0" styleCategories="AllStyleCategories">
  <!-- classes of a map by tessera -->
  <pipe>
    <rasterrenderer type="paletted" band="1" opacity="1" alphaBand="-1" nodataColor="">
      <rasterTransparency/>
      <colorPalette>
        <paletteEntry value="0" color="#c4625e" alpha="255" label="built-up"/>
        <paletteEntry value="1" color="#08402f" alpha="255" label="conifer forest"/>
        <paletteEntry value="2" color="#1c6b39" alpha="255" label="deciduous forest"/>
        <paletteEntry value="3" color="#9fd46a" alpha="255" label="grassland"/>
        <paletteEntry value="4" color="#2f6fd0" alpha="255" label="water"/>
        <paletteEntry value="5" color="#dfa32f" alpha="255" label="winter wheat"/>
      </colorPalette>
    </rasterrenderer>
  </pipe>
  <blendMode>0</blendMode>
</qgis>
