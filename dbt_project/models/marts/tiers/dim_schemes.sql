-- The schemes in force on the night.
with schemes as (

    select * from {{ source('rules', 'schemes') }}

),

in_force as (

    select * from {{ ref('int_rules_in_force') }}

)

select
    schemes.scheme,
    schemes.kind,
    schemes.population,
    schemes.label_en,
    schemes.label_zh,
    schemes.description
from schemes
inner join in_force
    on schemes.rules_version = in_force.rules_version
